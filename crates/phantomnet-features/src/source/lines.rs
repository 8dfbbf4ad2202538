//! Physical lines of a byte stream, with lookahead and bounded memory.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use memchr::memchr_iter;

/// Bytes kept of a line that is too long to be held.
const KEPT_OF_LONG_LINE: usize = 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A physical line inside a [`Window`]; offsets count all bytes that the window has held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) start: usize,
    /// Without the terminator.
    pub(crate) end: usize,
    /// From 1.
    pub(crate) number: u64,
    /// Longer than allowed: only its beginning is held.
    pub(crate) too_long: bool,
}

/// The lines that have been read and not yet released.
///
/// Everything that the reader has to offer is taken at once, so that a line counts as available as soon as its
/// terminator has arrived, without asking (and waiting) for more.
#[derive(Debug)]
pub(crate) struct Window<R> {
    reader: R,
    held: Held,
    ended: bool,
}

#[derive(Debug)]
struct Held {
    terminator: u8,
    max_line_bytes: usize,
    buf: Vec<u8>,
    /// Offset of `buf[0]`.
    base: usize,
    lines: VecDeque<Line>,
    /// Offset at which the line that has not ended yet starts.
    tail: usize,
    tail_too_long: bool,
    n_lines: u64,
}

impl<R: BufRead> Window<R> {
    /// Lines end with LF, a CR before it included, or with CR alone when that is the `terminator`.
    pub(crate) fn new(reader: R, terminator: u8, max_line_bytes: usize) -> Self {
        let held = Held {
            terminator,
            max_line_bytes,
            buf: Vec::new(),
            base: 0,
            lines: VecDeque::new(),
            tail: 0,
            tail_too_long: false,
            n_lines: 0,
        };
        Self { reader, held, ended: false }
    }

    /// The `i`-th line that is not released, if it has arrived.
    pub(crate) fn line(&self, i: usize) -> Option<Line> {
        self.held.lines.get(i).copied()
    }

    /// The bytes between two offsets of lines that are not released.
    pub(crate) fn bytes(&self, start: usize, end: usize) -> &[u8] {
        &self.held.buf[start - self.held.base..end - self.held.base]
    }

    /// Whether the reader has nothing more.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Physical lines seen so far.
    pub(crate) fn n_lines(&self) -> u64 {
        self.held.n_lines
    }

    /// The reader, beyond what the window holds.
    pub(crate) fn into_reader(self) -> R {
        self.reader
    }

    /// Lets go of the first `n` lines.
    pub(crate) fn release(&mut self, n: usize) {
        self.held.lines.drain(..n);
    }

    /// Takes what the reader has to offer, waiting for at least a byte or the end.
    pub(crate) fn fill(&mut self) -> io::Result<()> {
        self.held.compact();
        let chunk = loop {
            match self.reader.fill_buf() {
                Ok(chunk) => break chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        let n_bytes = chunk.len();
        if n_bytes == 0 {
            self.held.end(&mut self.ended);
        } else {
            self.held.take(chunk);
            self.reader.consume(n_bytes);
        }
        Ok(())
    }
}

impl Held {
    /// Drops released bytes; only when that is at least half, which keeps the total cost linear.
    fn compact(&mut self) {
        let released = self.lines.front().map_or(self.tail, |line| line.start) - self.base;
        if released * 2 >= self.buf.len() {
            self.buf.drain(..released);
            self.base += released;
        }
    }

    fn take(&mut self, chunk: &[u8]) {
        let mut start = 0;
        for at in memchr_iter(self.terminator, chunk) {
            self.append(&chunk[start..at]);
            let end = self.base + self.buf.len();
            self.buf.push(self.terminator);
            self.close_line(end);
            start = at + 1;
        }
        self.append(&chunk[start..]);
    }

    fn append(&mut self, piece: &[u8]) {
        if self.tail_too_long {
            return;
        }
        self.buf.extend_from_slice(piece);
        // One byte more for the CR of a CRLF.
        if self.base + self.buf.len() - self.tail > self.max_line_bytes + 1 {
            self.tail_too_long = true;
            let kept = KEPT_OF_LONG_LINE.min(self.max_line_bytes);
            self.buf.truncate(self.tail - self.base + kept);
        }
    }

    fn close_line(&mut self, mut end: usize) {
        let mut start = self.tail;
        if self.n_lines == 0 && self.buf[start - self.base..end - self.base].starts_with(BYTE_ORDER_MARK) {
            start += BYTE_ORDER_MARK.len();
        }
        if self.terminator == b'\n' && self.buf[start - self.base..end - self.base].ends_with(b"\r") {
            end -= 1;
        }
        self.n_lines += 1;
        let too_long = self.tail_too_long || end - start > self.max_line_bytes;
        self.lines.push_back(Line { start, end, number: self.n_lines, too_long });
        self.tail = self.base + self.buf.len();
        self.tail_too_long = false;
    }

    fn end(&mut self, ended: &mut bool) {
        let end = self.base + self.buf.len();
        if !*ended && end > self.tail {
            self.close_line(end);
        }
        *ended = true;
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use rstest::rstest;

    use super::*;

    fn lines(content: &[u8], terminator: u8, capacity: usize) -> Vec<(u64, String, bool)> {
        let mut window = Window::new(BufReader::with_capacity(capacity, content), terminator, 10);
        let mut lines = Vec::new();
        while !window.ended() {
            window.fill().unwrap();
            while let Some(line) = window.line(0) {
                let text = String::from_utf8(window.bytes(line.start, line.end).to_vec()).unwrap();
                lines.push((line.number, text, line.too_long));
                window.release(1);
            }
        }
        lines
    }

    #[rstest]
    #[case::lf(b"a\nb\n", b'\n', &["a", "b"])]
    #[case::no_final_newline(b"a\nb", b'\n', &["a", "b"])]
    #[case::crlf(b"a\r\nb\r\n", b'\n', &["a", "b"])]
    #[case::cr(b"a\rb\r", b'\r', &["a", "b"])]
    #[case::cr_inside(b"a\rb\n", b'\n', &["a\rb"])]
    #[case::byte_order_mark(b"\xef\xbb\xbfa\nb", b'\n', &["a", "b"])]
    #[case::blank(b"\n\na", b'\n', &["", "", "a"])]
    #[case::empty(b"", b'\n', &[])]
    fn lines_do_not_depend_on_how_bytes_arrive(
        #[case] content: &[u8],
        #[case] terminator: u8,
        #[case] expected: &[&str],
        #[values(1, 2, 3, 7, 64)] capacity: usize,
    ) {
        let expected: Vec<_> = (1..).zip(expected).map(|(n, text)| (n, (*text).to_owned(), false)).collect();
        assert_eq!(lines(content, terminator, capacity), expected);
    }

    #[rstest]
    fn a_long_line_keeps_its_beginning_and_its_number(#[values(1, 3, 64)] capacity: usize) {
        let content = b"0123456789\n0123456789\r\n0123456789a\n0123456789abcdef\nb";
        let found = lines(content, b'\n', capacity);
        let too_long: Vec<bool> = found.iter().map(|line| line.2).collect();
        assert_eq!(too_long, [false, false, true, true, false]);
        assert!(found[3].1.starts_with("0123456789"), "{found:?}");
        assert_eq!(found[4], (5, "b".to_owned(), false));
    }
}
