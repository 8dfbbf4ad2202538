//! A text cut into blocks at the ends of its lines, to be taken apart independently.

use std::io::{self, Read};

use memchr::{memchr, memrchr};

/// Bytes kept of a line that is too long to be held; what is shown of it is no longer.
const KEPT_OF_LONG_LINE: usize = 1024;

/// Bytes by which memory grows when files are read.
const READ_BYTES: usize = 256 * 1024;

/// Some bytes of a text.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) bytes: Vec<u8>,
    pub(crate) kind: BlockKind,
    /// Whether it begins within a line.
    pub(crate) is_within_line: bool,
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
    /// Byte after which lines longer than a block may be cut.
    within_lines: Option<u8>,
    block_bytes: usize,
    max_record_bytes: usize,
    /// Begins with what has been read and not given yet; the rest is there to be read into.
    buffer: Vec<u8>,
    /// Bytes that have been read and not given yet.
    n_carried: usize,
    /// Bytes of the text given.
    given: u64,
    /// Whether they end within a line.
    is_within_line: bool,
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
        let (buffer, n_carried, given, state) = (Vec::new(), 0, 0, State::Reading);
        let (within_lines, is_within_line) = (None, false);
        Self {
            reader,
            terminator,
            within_lines,
            block_bytes,
            max_record_bytes,
            buffer,
            n_carried,
            given,
            is_within_line,
            state,
        }
    }

    /// Cuts lines that are longer than a block after this byte, too.
    pub(crate) fn within_lines(mut self, byte: Option<u8>) -> Self {
        self.within_lines = byte;
        self
    }

    pub(crate) fn into_reader(self) -> R {
        self.reader
    }

    /// The next block; `None` after the last one. `spare` is memory to read into, such as that of a block that is done with: what
    /// it holds does not matter.
    ///
    /// # Errors
    /// When the system cannot read. Content that is broken, as of a compressed file that was cut off, is a block that says so.
    pub(crate) fn next(&mut self, spare: Vec<u8>) -> io::Result<Option<Block>> {
        loop {
            if self.state == State::Reading && self.n_carried < self.block_bytes {
                self.fill()?;
                continue;
            }
            // Where objects stand side by side, a line may be as long as the file.
            let within = self.within_lines.filter(|_| self.state == State::Reading);
            let cut = memrchr(self.terminator, self.carried());
            let cut = cut.or_else(|| memrchr(within?, self.carried())).map(|i| i + 1);
            match (&self.state, cut) {
                (State::Done, _) => return Ok(None),
                (State::Ended, _) => {
                    self.state = State::Done;
                    return Ok(Some(self.give(self.n_carried, BlockKind::Last, spare)));
                }
                (_, Some(length)) => return Ok(Some(self.give(length, BlockKind::Lines, spare))),
                (State::Damaged(why), None) => {
                    let kind = BlockKind::Damaged(why.clone());
                    self.state = State::Done;
                    return Ok(Some(self.give(self.n_carried, kind, spare)));
                }
                (State::Reading, None) if self.n_carried > self.max_record_bytes.max(KEPT_OF_LONG_LINE) + 1 => {
                    let mut block = self.give(KEPT_OF_LONG_LINE, BlockKind::LongLine, spare);
                    self.skip_line()?;
                    block.end = self.given;
                    return Ok(Some(block));
                }
                (State::Reading, None) => self.fill()?,
            }
        }
    }

    fn carried(&self) -> &[u8] {
        &self.buffer[..self.n_carried]
    }

    fn give(&mut self, length: usize, kind: BlockKind, spare: Vec<u8>) -> Block {
        let mut bytes = std::mem::replace(&mut self.buffer, spare);
        let rest = length..self.n_carried;
        self.n_carried = rest.len();
        self.make_room(rest.len());
        self.buffer[..rest.len()].copy_from_slice(&bytes[rest]);
        bytes.truncate(length);
        self.given += length as u64;
        let ends_within = bytes.last().map_or(self.is_within_line, |&byte| byte != self.terminator);
        let is_within_line = std::mem::replace(&mut self.is_within_line, ends_within);
        Block { bytes, kind, is_within_line, end: self.given }
    }

    /// Lets go of everything up to the next terminator.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            if let Some(end) = memchr(self.terminator, self.carried()) {
                self.buffer.copy_within(end + 1..self.n_carried, 0);
                self.n_carried -= end + 1;
                self.given += end as u64 + 1;
                self.is_within_line = false;
                return Ok(());
            }
            self.given += self.n_carried as u64;
            self.n_carried = 0;
            if self.state != State::Reading {
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// Reads more, at least a byte or the end.
    fn fill(&mut self) -> io::Result<()> {
        let start = self.n_carried;
        // Lines longer than a block come in by doubling, so that what is moved stays linear.
        let end = start + self.block_bytes.saturating_sub(start).max(start).max(1);
        while self.n_carried < end {
            if self.n_carried == self.buffer.len() {
                // Most files are small.
                self.make_room(end.min(self.n_carried + READ_BYTES));
            }
            let room = self.n_carried..end.min(self.buffer.len());
            match self.reader.read(&mut self.buffer[room]) {
                Ok(0) => break,
                Ok(n) => self.n_carried += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_damage(&error) => {
                    self.state = State::Damaged(error.to_string());
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        if self.n_carried == start {
            self.state = State::Ended;
        }
        Ok(())
    }

    /// Has the buffer hold `end` bytes at least.
    fn make_room(&mut self, end: usize) {
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
    }
}

/// Whether it is the content that cannot be read, not the file.
pub(crate) fn is_damage(error: &io::Error) -> bool {
    error.raw_os_error().is_none() && error.kind() != io::ErrorKind::FileTooLarge
}
