//! The blocks of a file, joined: what goes on from one to the next.

use super::{After, Decoded, FileEnd, Gather, RejectedPart, Visit, after, decode};
use crate::source::ReadOptions;
use crate::source::blocks::{Block, BlockKind};
use crate::source::decode::Before;
use crate::source::error::SourceError;
use crate::source::excerpt::excerpt;
use crate::source::http::frame::MAX_LOOK_AHEAD;
use crate::source::layout::OPEN_LIST;
use crate::source::open::Head;

/// Joins the blocks of a file.
pub(super) struct Join<'a, V> {
    file: usize,
    head: &'a Head,
    options: &'a ReadOptions,
    visit: &'a V,
    /// The beginning of a record that goes on in the next block.
    rest: Vec<u8>,
    /// Line and byte of the text at which that, or else the next block, starts.
    line: u64,
    offset: u64,
    /// What that must know of the text before.
    before: Before,
}

impl<'a, V: Visit> Join<'a, V> {
    pub(super) fn new(file: usize, head: &'a Head, options: &'a ReadOptions, visit: &'a V) -> Self {
        let (line, offset) = (head.start_line, head.start);
        Self { file, head, options, visit, rest: Vec::new(), line, offset, before: Before::default() }
    }

    /// Whether the next block can be taken apart as it is.
    pub(super) fn is_clear(&self) -> bool {
        self.rest.is_empty() && !self.before.is_foreign && self.before.search.is_none()
    }

    /// Takes the next block, and returns its memory.
    pub(super) fn take(
        &mut self,
        block: Block,
        decoded: Option<Decoded<V::Out>>,
        gather: &mut dyn Gather<V::Out>,
    ) -> Result<Vec<u8>, SourceError> {
        let Block { bytes, kind, end, .. } = block;
        if kind == BlockKind::LongLine {
            // No record goes on over such a line.
            while !self.rest.is_empty() {
                let rest = std::mem::take(&mut self.rest);
                let decoded = self.decode(&rest, After::Nothing);
                self.give(&rest, decoded, After::Nothing, gather)?;
            }
            let mut decoded = self.decode(&[], After::Nothing);
            let reason = format!("longer than {} bytes", self.options.max_line_bytes);
            let excerpt = excerpt(&bytes);
            decoded.part.rejected.push(RejectedPart { line: 0, offset: 0, reason, excerpt });
            decoded.n_lines = 1;
            self.give(&[], decoded, After::Nothing, gather)?;
            self.offset = end;
            self.before.is_within_line = false;
            return Ok(bytes);
        }
        let after = after(&kind);
        let (mut bytes, decoded) = match decoded {
            Some(decoded) if self.is_clear() => (bytes, decoded),
            _ => {
                let bytes = match self.rest.is_empty() {
                    true => bytes,
                    false => [std::mem::take(&mut self.rest), bytes].concat(),
                };
                let decoded = self.decode(&bytes, after);
                (bytes, decoded)
            }
        };
        self.give(&bytes, decoded, after, gather)?;
        // Not that of a line beyond all measure.
        bytes.shrink_to(2 * self.options.block_bytes);
        Ok(bytes)
    }

    fn decode(&self, bytes: &[u8], after: After<'_>) -> Decoded<V::Out> {
        decode(self.head, self.options, self.visit, bytes, self.before.clone(), after)
    }

    /// Gives the parts of some bytes, of which the first is `decoded`, and keeps what is left of them.
    fn give(
        &mut self,
        bytes: &[u8],
        mut decoded: Decoded<V::Out>,
        after: After<'_>,
        gather: &mut dyn Gather<V::Out>,
    ) -> Result<(), SourceError> {
        let mut start = 0;
        loop {
            let Decoded { mut part, consumed, n_lines, has_more, before } = decoded;
            (part.line, part.offset) = (self.line, self.offset);
            for rejected in &mut part.rejected {
                rejected.line += self.line + 1;
                rejected.offset += self.offset;
            }
            self.line += n_lines;
            self.offset += consumed as u64;
            self.before = before;
            start += consumed;
            gather.part(self.file, part)?;
            if !has_more {
                break;
            }
            decoded = self.decode(&bytes[start..], after);
        }
        self.rest = bytes[start..].to_vec();
        if after == After::More
            && self.rest.len()
                > self.options.max_line_bytes.saturating_add(self.options.block_bytes.max(MAX_LOOK_AHEAD))
        {
            // No record is as long, so that its line is broken, and may go on for ever.
            let rest = std::mem::take(&mut self.rest);
            let decoded = self.decode(&rest, After::Nothing);
            return self.give(&rest, decoded, After::Nothing, gather);
        }
        Ok(())
    }

    pub(super) fn end(self, mut end: FileEnd, gather: &mut dyn Gather<V::Out>) -> Result<(), SourceError> {
        if self.head.is_in_list && !self.before.is_after_list && end.damage.is_none() {
            end.warning = Some(OPEN_LIST.to_owned());
        }
        gather.end(self.file, end)
    }
}
