//! Writing pairs: record by record, or packed in blocks.
use super::{ESCAPE, LARGEST, MAGIC, MARKER, SYNC_INTERVAL, Writable, vint};
use crate::{Codec, Encoder, Error, Flow, Result, Site, at, output::Part};
use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    io::Write,
};

/// Bytes of keys and values after which a block ends.
const BLOCK: usize = 1_000_000;
/// Bytes that wait before they are written.
const BUFFER: usize = 64 << 10;

/// Writes all pairs of a flow.
pub(super) fn pairs<K: Writable, V: Writable>(
    flow: Flow<(K, V)>,
    part: &mut Part,
    codec: Option<Codec>,
    site: Site,
) -> Result<()> {
    let marker = marker();
    part.put(&header::<K, V>(codec, &marker))?;
    let mut out = Pairs { part, marker, site, packed: codec, plain: Vec::new(), since: 0, block: Block::default() };
    flow.each(|chunk| {
        at(site);
        chunk.as_slice().iter().try_for_each(|(k, v)| match codec {
            None => out.record(k, v),
            Some(_) => out.add_to_block(k, v),
        })
    })?;
    out.finish()
}

struct Pairs<'a> {
    part: &'a mut Part,
    marker: [u8; MARKER],
    site: Site,
    packed: Option<Codec>,
    /// Records that wait to be written, and the bytes since the last sync.
    plain: Vec<u8>,
    since: usize,
    block: Block,
}
#[derive(Default)]
struct Block {
    records: i64,
    key_lens: Vec<u8>,
    keys: Vec<u8>,
    value_lens: Vec<u8>,
    values: Vec<u8>,
}
impl Pairs<'_> {
    fn record<K: Writable, V: Writable>(&mut self, key: &K, value: &V) -> Result<()> {
        let plain = &mut self.plain;
        if self.since >= SYNC_INTERVAL {
            sync(plain, &self.marker);
            self.since = 0;
        }
        let from = plain.len();
        plain.extend_from_slice(&[0; 8]);
        key.write_to(plain);
        let key_len = plain.len() - from - 8;
        value.write_to(plain);
        let len = plain.len() - from - 8;
        may_be(len, self.site)?;
        plain[from..from + 4].copy_from_slice(&(len as u32).to_be_bytes());
        plain[from + 4..from + 8].copy_from_slice(&(key_len as u32).to_be_bytes());
        self.since += len + 8;
        if plain.len() >= BUFFER {
            self.part.put(plain)?;
            plain.clear();
        }
        Ok(())
    }
    fn add_to_block<K: Writable, V: Writable>(&mut self, key: &K, value: &V) -> Result<()> {
        let Block { records, key_lens, keys, value_lens, values } = &mut self.block;
        let (before_key, before_value) = (keys.len(), values.len());
        key.write_to(keys);
        value.write_to(values);
        may_be(keys.len() + values.len(), self.site)?;
        vint::put(key_lens, (keys.len() - before_key) as i64);
        vint::put(value_lens, (values.len() - before_value) as i64);
        *records += 1;
        if keys.len() + values.len() + key_lens.len() + value_lens.len() >= BLOCK { self.emit_block() } else { Ok(()) }
    }
    fn emit_block(&mut self) -> Result<()> {
        let Block { records, key_lens, keys, value_lens, values } = std::mem::take(&mut self.block);
        let codec = self.packed.expect("only what is packed has blocks");
        let mut out = Vec::new();
        sync(&mut out, &self.marker);
        vint::put(&mut out, records);
        for buffer in [key_lens, keys, value_lens, values] {
            let mut packed = Encoder::hadoop(codec, Vec::new());
            let packed = packed.write_all(&buffer).and_then(|()| packed.finish()).map_err(|e| self.part.failed(e))?;
            vint::put(&mut out, packed.len() as i64);
            out.extend_from_slice(&packed);
        }
        self.part.put(&out)
    }
    fn finish(mut self) -> Result<()> {
        if self.block.records > 0 {
            self.emit_block()?;
        }
        self.part.put(&self.plain)
    }
}
fn sync(out: &mut Vec<u8>, marker: &[u8; MARKER]) {
    out.extend_from_slice(&ESCAPE.to_be_bytes());
    out.extend_from_slice(marker);
}
fn may_be(len: usize, site: Site) -> Result<()> {
    if len <= LARGEST {
        return Ok(());
    }
    Err(Error::Unwritable { site, why: format!("a pair has more than {LARGEST} bytes") })
}

fn header<K: Writable, V: Writable>(codec: Option<Codec>, marker: &[u8; MARKER]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    let text = |out: &mut Vec<u8>, text: &str| text.to_owned().write_to(out);
    text(&mut out, K::CLASS);
    text(&mut out, V::CLASS);
    let is_packed = u8::from(codec.is_some());
    out.extend_from_slice(&[is_packed, is_packed]);
    if let Some(class) = codec.and_then(Codec::class) {
        text(&mut out, &class);
    }
    out.extend_from_slice(&0i32.to_be_bytes());
    out.extend_from_slice(marker);
    out
}
/// Random, not made from what is known: a file that holds another one as a value must not look like it.
fn marker() -> [u8; MARKER] {
    let random = || RandomState::new().build_hasher().finish().to_be_bytes();
    let mut marker = [0; MARKER];
    marker[..8].copy_from_slice(&random());
    marker[8..].copy_from_slice(&random());
    marker
}
