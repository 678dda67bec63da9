//! [`Losers`]: which of several runs has the next record.

/// A tournament of `n` players, who sit at the leaves `n..2n` of a tree: each inner node keeps who lost there, node 0 who
/// won. When the winner has changed only its own way up is played again: about log2 n matches.
pub(crate) struct Losers {
    nodes: Vec<usize>,
}
impl Losers {
    pub(crate) fn new(n: usize, wins: impl Fn(usize, usize) -> bool) -> Self {
        // The winners below each node, from the leaves up; a match leaves its loser.
        let mut winners: Vec<usize> = (0..n).chain(0..n).collect();
        let mut nodes = vec![0; n];
        for node in (1..n).rev() {
            let (a, b) = (winners[2 * node], winners[2 * node + 1]);
            let (winner, loser) = if wins(a, b) { (a, b) } else { (b, a) };
            (winners[node], nodes[node]) = (winner, loser);
        }
        if n > 1 {
            nodes[0] = winners[1];
        }
        Losers { nodes }
    }
    #[inline]
    pub(crate) fn first(&self) -> Option<usize> {
        self.nodes.first().copied()
    }
    #[inline]
    pub(crate) fn replay(&mut self, wins: impl Fn(usize, usize) -> bool) {
        let mut winner = self.nodes[0];
        let mut node = (winner + self.nodes.len()) / 2;
        while node > 0 {
            if wins(self.nodes[node], winner) {
                std::mem::swap(&mut self.nodes[node], &mut winner);
            }
            node /= 2;
        }
        self.nodes[0] = winner;
    }
}

#[cfg(test)]
mod tests {
    use super::Losers;

    #[test]
    fn any_number_of_players_comes_out_in_order() {
        for n in 0..20 {
            // Player i shows i*7 mod n, then the next greater by n, three times in all.
            let mut shows: Vec<usize> = (0..n).map(|i| i * 7 % n).collect();
            let mut tree = Losers::new(n, |a, b| (shows[a], a) < (shows[b], b));
            let mut seen = Vec::new();
            while let Some(first) = tree.first().filter(|first| shows[*first] < 3 * n) {
                seen.push((shows[first], first));
                shows[first] += n;
                tree.replay(|a, b| (shows[a], a) < (shows[b], b));
            }
            assert_eq!(seen.len(), 3 * n);
            assert!(seen.is_sorted(), "{n}: {seen:?}");
        }
    }
}
