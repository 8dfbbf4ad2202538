//! A text cut into blocks at the ends of its lines, to be taken apart independently.

use std::io::{self, Read};

use memchr::{memchr, memrchr};

/// Bytes kept of a line that is too long to be held; what is shown of it is no longer.
const KEPT_OF_LONG_LINE: usize = 1024;

/// Some bytes of a text.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) bytes: Vec<u8>,
    pub(crate) kind: BlockKind,
    /// Bytes of the text up to the end of the block; more than it holds where a line is too long.
    pub(crate) end: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BlockKind {
    /// Whole lines.
    Lines,
    /// The same, and the end of the text.
    Last,
    /// The beginning of a line that is too long to be held, its terminator passed.
    LongLine,
    /// The beginning of a line after which the text cannot be read, and why.
    Damaged(String),
}

/// Cuts a text into blocks.
#[derive(Debug)]
pub(crate) struct Cutter<R> {
    reader: R,
    terminator: u8,
    block_bytes: usize,
    max_record_bytes: usize,
    /// Read and not given yet.
    carry: Vec<u8>,
    /// Bytes of the text given.
    given: u64,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Reading,
    Damaged(String),
    Ended,
    Done,
}

impl<R: Read> Cutter<R> {
    pub(crate) fn new(reader: R, terminator: u8, block_bytes: usize, max_record_bytes: usize) -> Self {
        let block_bytes = block_bytes.max(1);
        let (carry, given) = (Vec::new(), 0);
        Self { reader, terminator, block_bytes, max_record_bytes, carry, given, state: State::Reading }
    }

    pub(crate) fn into_reader(self) -> R {
        self.reader
    }

    /// The next block; `None` after the last one.
    ///
    /// # Errors
    /// When the system cannot read. Content that is broken, as of a compressed file that was cut off, is a block that says so.
    pub(crate) fn next(&mut self) -> io::Result<Option<Block>> {
        loop {
            if self.state == State::Reading && self.carry.len() < self.block_bytes {
                self.fill()?;
                continue;
            }
            let cut = memrchr(self.terminator, &self.carry).map(|i| i + 1);
            match (&self.state, cut) {
                (State::Done, _) => return Ok(None),
                (State::Ended, _) => {
                    self.state = State::Done;
                    let length = self.carry.len();
                    return Ok(Some(self.give(length, BlockKind::Last)));
                }
                (_, Some(length)) => return Ok(Some(self.give(length, BlockKind::Lines))),
                (State::Damaged(why), None) => {
                    let kind = BlockKind::Damaged(why.clone());
                    self.state = State::Done;
                    let length = self.carry.len();
                    return Ok(Some(self.give(length, kind)));
                }
                (State::Reading, None) if self.carry.len() > self.max_record_bytes.max(KEPT_OF_LONG_LINE) + 1 => {
                    let mut block = self.give(KEPT_OF_LONG_LINE, BlockKind::LongLine);
                    self.skip_line()?;
                    block.end = self.given;
                    return Ok(Some(block));
                }
                (State::Reading, None) => self.fill()?,
            }
        }
    }

    fn give(&mut self, length: usize, kind: BlockKind) -> Block {
        let rest = self.carry.split_off(length);
        let bytes = std::mem::replace(&mut self.carry, rest);
        self.given += length as u64;
        Block { bytes, kind, end: self.given }
    }

    /// Lets go of everything up to the next terminator.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            if let Some(end) = memchr(self.terminator, &self.carry) {
                self.carry.drain(..=end);
                self.given += end as u64 + 1;
                return Ok(());
            }
            self.given += self.carry.len() as u64;
            self.carry.clear();
            if self.state != State::Reading {
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// Reads more, at least a byte or the end.
    fn fill(&mut self) -> io::Result<()> {
        let start = self.carry.len();
        // Lines longer than a block come in by doubling, so that what is moved stays linear.
        let wanted = self.block_bytes.saturating_sub(start).max(start).max(1);
        self.carry.reserve(wanted);
        match self.reader.by_ref().take(wanted as u64).read_to_end(&mut self.carry) {
            Ok(_) if self.carry.len() == start => self.state = State::Ended,
            Ok(_) => {}
            Err(error) if is_damage(&error) => self.state = State::Damaged(error.to_string()),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Whether it is the content that cannot be read, not the file.
pub(crate) fn is_damage(error: &io::Error) -> bool {
    error.raw_os_error().is_none() && error.kind() != io::ErrorKind::FileTooLarge
}
