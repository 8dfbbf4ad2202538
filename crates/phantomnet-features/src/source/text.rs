//! Records of a text that arrives bit by bit.

use std::io::{self, BufRead};

use memchr::memchr;

use crate::source::blocks::is_damage;
use crate::source::decode::{Decoder, Span, Step, damaged, ends_within_line};

/// What comes next in a text.
#[derive(Debug)]
pub(crate) enum Next {
    /// A record, whose cells are in the decoder's row.
    Record(Span),
    /// Bytes that no record can be made of.
    Rejected(Span, String),
    /// Nothing is complete yet, and the caller does not want to wait.
    Pending,
    /// No more.
    End,
}

/// A text, its bytes that have arrived and are not used yet, and what takes records off it.
///
/// Everything that the reader has to offer is taken at once, so that a line counts as available as soon as its terminator has
/// arrived, without asking (and waiting) for more.
#[derive(Debug)]
pub(crate) struct Text<R> {
    reader: R,
    terminator: u8,
    max_record_bytes: usize,
    buf: Vec<u8>,
    /// Byte of the text that `buf` begins with.
    base: u64,
    /// Up to here `buf` is used.
    at: usize,
    /// Length of `buf` when it was last found to hold no whole record from `at` on.
    tried: Option<usize>,
    ended: bool,
    /// Inside of a line that was too long.
    skipping: bool,
    damage: Option<String>,
}

impl<R: BufRead> Text<R> {
    pub(crate) fn new(reader: R, terminator: u8, max_record_bytes: usize) -> Self {
        Self {
            reader,
            terminator,
            max_record_bytes,
            buf: Vec::new(),
            base: 0,
            at: 0,
            tried: None,
            ended: false,
            skipping: false,
            damage: None,
        }
    }

    /// The bytes that have arrived.
    pub(crate) fn arrived(&self) -> &[u8] {
        &self.buf[self.at..]
    }

    /// Whether nothing more will arrive.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Lets go of the first bytes that have arrived.
    pub(crate) fn consume(&mut self, n: usize) {
        self.at += n;
        self.tried = None;
    }

    /// Bytes between two places of a span.
    pub(crate) fn bytes(&self, span: Span) -> &[u8] {
        &self.buf[span.start..span.end]
    }

    /// All bytes that spans and rows point into.
    pub(crate) fn source(&self) -> &[u8] {
        &self.buf
    }

    /// Byte of the text at which a span starts.
    pub(crate) fn offset(&self, span: Span) -> u64 {
        self.base + span.start as u64
    }

    /// The same, whose lines end otherwise.
    pub(crate) fn ended_by(mut self, terminator: u8) -> Self {
        self.terminator = terminator;
        self
    }

    /// The same, whose first byte is that of a longer text.
    pub(crate) fn begun_at(mut self, offset: u64) -> Self {
        self.base = offset;
        self
    }

    /// Byte of the text that comes next.
    pub(crate) fn position(&self) -> u64 {
        self.base + self.at as u64
    }

    /// Lets go of everything before a byte of the text.
    pub(crate) fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        loop {
            let at = self.position();
            let n = offset.saturating_sub(at).min((self.buf.len() - self.at) as u64) as usize;
            self.consume(n);
            if at + n as u64 >= offset || self.ended {
                return Ok(());
            }
            // Nothing that has arrived is needed.
            self.base += self.buf.len() as u64;
            self.buf.clear();
            self.at = 0;
            self.fill()?;
        }
    }

    /// The next record; unless `wait`, only what needs no reading.
    pub(crate) fn next(&mut self, decoder: &mut Decoder, wait: bool) -> io::Result<Next> {
        loop {
            if self.skipping {
                match memchr(self.terminator, self.arrived()) {
                    Some(end) => {
                        self.consume(end + 1);
                        self.skipping = false;
                    }
                    None => self.consume(self.buf.len() - self.at),
                }
            }
            if let Some(next) = self.step(decoder) {
                return Ok(next);
            }
            if self.ended {
                return Ok(Next::End);
            }
            if !wait {
                return Ok(Next::Pending);
            }
            self.compact(decoder);
            self.fill()?;
        }
    }

    /// The next record of what has arrived, if there is a whole one.
    fn step(&mut self, decoder: &mut Decoder) -> Option<Next> {
        if self.ended
            && let Some(why) = self.damage.take()
        {
            let (next, is_told) = self.step_damaged(decoder, &why);
            self.damage = Some(why).filter(|_| !is_told);
            return Some(next);
        }
        loop {
            let length = self.buf.len();
            if self.at >= length || !self.is_worth_a_try() {
                return None;
            }
            let next = match decoder.step(&self.buf, self.at, self.ended) {
                Step::Nothing(next) if next > self.at => {
                    self.consume(next - self.at);
                    continue;
                }
                Step::Pending(start) => {
                    self.at = start;
                    if length - start > self.max_record_bytes.saturating_add(decoder.look_ahead())
                        && let Step::Rejected(span, reason) = decoder.step(&self.buf, start, true)
                    {
                        self.skipping = span.next == length && self.buf.last() != Some(&self.terminator);
                        Next::Rejected(span, reason)
                    } else {
                        self.tried = Some(length);
                        return None;
                    }
                }
                Step::Nothing(_) => return None,
                Step::Record(span) => Next::Record(span),
                Step::Rejected(span, reason) => Next::Rejected(span, reason),
            };
            return Some(self.take(next));
        }
    }

    /// The next record of a text that cannot be read beyond what has arrived; whether it is the one at which it cannot.
    fn step_damaged(&mut self, decoder: &mut Decoder, why: &str) -> (Next, bool) {
        let length = self.buf.len();
        while self.at < length {
            let (step, is_told) = decoder.step_damaged(&self.buf, self.at, why);
            let next = match step {
                Step::Nothing(next) if next > self.at => {
                    self.consume(next - self.at);
                    continue;
                }
                Step::Record(span) => Next::Record(span),
                Step::Rejected(span, reason) => Next::Rejected(span, reason),
                Step::Nothing(_) | Step::Pending(_) => break,
            };
            return (self.take(next), is_told);
        }
        let span = Span { start: length, end: length, next: length, line: decoder.n_lines() };
        (Next::Rejected(span, damaged(why)), true)
    }

    fn take(&mut self, next: Next) -> Next {
        if let Next::Record(span) | Next::Rejected(span, _) = &next {
            self.at = span.next;
        }
        self.tried = None;
        next
    }

    /// Whether what has arrived since the last try may complete a record.
    fn is_worth_a_try(&self) -> bool {
        let Some(tried) = self.tried else { return true };
        self.ended
            || memchr(self.terminator, &self.buf[tried..]).is_some()
            || self.buf.len() - self.at > self.max_record_bytes + 1
    }

    /// Drops used bytes; only when that is at least half, which keeps the total cost linear.
    fn compact(&mut self, decoder: &mut Decoder) {
        if self.at * 2 >= self.buf.len() {
            let is_within_line = ends_within_line(&self.buf[..self.at], self.terminator, decoder.before.is_within_line);
            self.buf.drain(..self.at);
            self.base += self.at as u64;
            self.tried = self.tried.map(|tried| tried - self.at);
            self.at = 0;
            decoder.go_on();
            decoder.before.is_within_line = is_within_line;
        }
    }

    /// Takes what the reader has to offer, waiting for at least a byte or the end.
    pub(crate) fn fill(&mut self) -> io::Result<()> {
        let chunk = loop {
            match self.reader.fill_buf() {
                Ok(chunk) => break chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_damage(&error) => {
                    self.damage = Some(error.to_string());
                    break &[];
                }
                Err(error) => return Err(error),
            }
        };
        let n_bytes = chunk.len();
        self.buf.extend_from_slice(chunk);
        self.reader.consume(n_bytes);
        self.ended = n_bytes == 0;
        Ok(())
    }
}
