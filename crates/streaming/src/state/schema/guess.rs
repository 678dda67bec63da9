//! [`Guess`]: what to put into the leaves of a made-up value, so that types which check their values take one.
//!
//! Zero and the empty string first. If the type refuses, the leaf it saw last gets its next candidate; when these are
//! used up, everything starts again from one instead of zero. So `NonZero`, `url::Url` or a date made of numbers find a
//! value they like. What it refuses to know: types.

/// Texts that common types parse.
pub(super) const TEXTS: [&str; 19] = [
    "",
    "a",
    "0",
    "1970-01-01T00:00:00Z",
    "1970-01-01",
    "1970-01-01T00:00:00",
    "00:00:00",
    "127.0.0.1",
    "127.0.0.1:80",
    "127.0.0.0/8",
    "00000000-0000-0000-0000-000000000000",
    "http://localhost/",
    "UTC",
    "1970-01-01T00:00:00+00:00[UTC]",
    "Mon",
    "Jan",
    "1.0.0",
    "a@b.example",
    "{}",
];
/// How many zero bytes common types want.
pub(super) const LENGTHS: [usize; 8] = [0, 16, 4, 8, 12, 20, 32, 64];
/// Of whole values; a type that wants more luck stays opaque.
const MAX_TRIES: usize = 200;

/// A choice for every leaf, in the order in which they are asked for.
#[derive(Clone, Default)]
pub(super) struct Guess {
    /// (chosen candidate, number of candidates)
    leaves: Vec<(usize, usize)>,
    at: usize,
    base: usize,
    tries: usize,
}

impl Guess {
    /// Another round over the same leaves.
    pub(super) fn rewind(&mut self) {
        self.at = 0;
    }
    /// The candidate of the next leaf, which has `of` of them.
    pub(super) fn next(&mut self, of: usize) -> usize {
        if self.at == self.leaves.len() {
            self.leaves.push((0, of));
        }
        let (chosen, _) = self.leaves[self.at];
        self.at += 1;
        (chosen + self.base) % of
    }
    /// The value made of the leaves so far was refused after `seen` of them: chooses another. `false`: nothing is left.
    pub(super) fn another(&mut self, seen: usize) -> bool {
        self.tries += 1;
        self.leaves.truncate(seen);
        match self.leaves.last_mut() {
            _ if self.tries > MAX_TRIES => false,
            Some((chosen, of)) if *chosen + 1 < *of => {
                *chosen += 1;
                true
            }
            _ if self.base == 0 => {
                self.base = 1;
                self.leaves.clear();
                true
            }
            _ => false,
        }
    }
    /// How many leaves have been asked for.
    pub(super) fn seen(&self) -> usize {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the guesses of leaves with `of` candidates each to `likes`, which says after how many leaves it refuses.
    fn search(of: &[usize], likes: impl Fn(&[usize]) -> Result<(), usize>) -> Option<Vec<usize>> {
        let mut guess = Guess::default();
        loop {
            guess.rewind();
            let tried: Vec<usize> = of.iter().map(|n| guess.next(*n)).collect();
            match likes(&tried) {
                Ok(()) => return Some(tried),
                Err(seen) if guess.another(seen) => {}
                Err(_) => return None,
            }
        }
    }

    #[test]
    fn finds_what_a_type_likes() {
        assert_eq!(search(&[2, 2], |_| Ok(())), Some(vec![0, 0]));
        assert_eq!(search(&[16, 2], |v| if v[0] == 7 { Ok(()) } else { Err(1) }), Some(vec![7, 0]));
        let both = |v: &[usize]| if v[0] != 3 { Err(1) } else { if v[1] == 1 { Ok(()) } else { Err(2) } };
        assert_eq!(search(&[4, 2], both), Some(vec![3, 1]));
        let ones_at_the_end = |v: &[usize]| if *v == [1, 1, 1] { Ok(()) } else { Err(3) };
        assert_eq!(search(&[2, 2, 2], ones_at_the_end), Some(vec![1, 1, 1]), "the second round starts from one");
        assert_eq!(search(&[2, 2], |_| Err(2)), None);
        assert_eq!(search(&[], |_| Err(0)), None);
    }
}
