//! Lines out of buffers of 64 KiB: owned texts by the line cutter, against borrowed slices by `memchr`.
use super::Duel;
use std::sync::Arc;
use winterbourne::{Text, engine::LineCutter};

const BUFFER: usize = 64 << 10;

pub(super) fn duel(text: Vec<u8>) -> Duel {
    let records = text.iter().filter(|b| **b == b'\n').count() as u64;
    let text = Arc::new(text);
    let again = text.clone();
    Duel {
        name: "cut",
        records,
        ours: Box::new(move || Ok(cut(&text, |line| line.len() as u64 + 1))),
        hand: Box::new(move || Ok(by_hand(&again))),
    }
}

/// All lines of a text.
pub(super) fn lines(text: &[u8]) -> Arc<Vec<Text>> {
    let mut all = Vec::new();
    cut(text, |line| {
        all.push(line);
        0
    });
    Arc::new(all)
}

/// Copies the text into fresh buffers, as reading would, and sums up `f` of each line.
fn cut(text: &[u8], mut f: impl FnMut(Text) -> u64) -> u64 {
    let (mut cutter, mut sum) = (LineCutter::new(1 << 20), 0);
    for piece in text.chunks(BUFFER) {
        let mut buffer = cutter.buffer(piece.len());
        let kept = buffer.len() - piece.len();
        buffer[kept..].copy_from_slice(piece);
        sum += cutter.cut(buffer, false).lines.into_iter().map(&mut f).sum::<u64>();
    }
    sum
}

/// One buffer, used again and again; no line is kept.
fn by_hand(text: &[u8]) -> u64 {
    let (mut buffer, mut have, mut sum) = (vec![0u8; 2 * BUFFER], 0, 0);
    for piece in text.chunks(BUFFER) {
        buffer[have..have + piece.len()].copy_from_slice(piece);
        have += piece.len();
        let mut from = 0;
        while let Some(length) = find(b'\n', &buffer[from..have]) {
            sum += length as u64 + 1;
            from += length + 1;
        }
        buffer.copy_within(from..have, 0);
        have -= from;
    }
    sum
}

/// Where the byte is, by the C library's vector code.
fn find(byte: u8, text: &[u8]) -> Option<usize> {
    // SAFETY: the pointer and the length are those of one slice, which is only read.
    let found = unsafe { libc::memchr(text.as_ptr().cast(), i32::from(byte), text.len()) };
    (!found.is_null()).then(|| found as usize - text.as_ptr() as usize)
}
