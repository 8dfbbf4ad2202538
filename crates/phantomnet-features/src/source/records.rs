//! Records of a byte stream: physical lines, or several of them where a quoted field holds line ends.

use std::io::{self, BufRead};

use crate::source::delimited::open_quote;
use crate::source::excerpt::visible;
use crate::source::lines::Window;

/// What comes next in a stream of records.
#[derive(Debug)]
pub(crate) enum Next<'a> {
    /// A record, without its line end; never empty.
    Record {
        /// Physical line it starts at, from 1.
        line: u64,
        bytes: &'a [u8],
    },
    /// A physical line that no record can be made of.
    Broken { line: u64, why: Broken, beginning: &'a [u8] },
    /// Nothing is complete yet, and the caller does not want to wait.
    Pending,
    /// No more.
    End,
}

/// Why no record can be made of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    TooLong { max_line_bytes: usize },
    NeverClosed { field: usize },
    NotClosedWithin { field: usize, max_line_bytes: usize },
}

impl Broken {
    /// The reason in words; fields are called by their names in `header`.
    pub(crate) fn reason(self, header: &[String]) -> String {
        let name = |field: usize| header.get(field).map_or_else(|| (field + 1).to_string(), |name| visible(name, 60));
        match self {
            Self::TooLong { max_line_bytes } => format!("longer than {max_line_bytes} bytes"),
            Self::NeverClosed { field } => format!("quote opened in field `{}` is never closed", name(field)),
            Self::NotClosedWithin { field, max_line_bytes } => {
                format!("quote opened in field `{}` is not closed within {max_line_bytes} bytes", name(field))
            }
        }
    }
}

/// Splits a byte stream into records.
///
/// A quote that is not closed until the end, or within the longest allowed record, breaks only the physical line that
/// opens it; reading goes on at the next. The search for a closing quote is shared between such lines: whether a line
/// closes a quote that is open at its start does not depend on where that quote was opened, so lines known not to are
/// never looked at again, and the cost stays linear however many quotes are left open.
#[derive(Debug)]
pub(crate) struct Records<R> {
    window: Window<R>,
    max_line_bytes: usize,
    /// The delimiter, when fields may be quoted and records thus span lines.
    quoting: Option<u8>,
    /// Lines of the window that the caller has been given.
    used: usize,
    /// Lines of the window before this one, the first apart, are known not to close a quote.
    searched: usize,
}

impl<R: BufRead> Records<R> {
    pub(crate) fn new(reader: R, terminator: u8, max_line_bytes: usize) -> Self {
        let window = Window::new(reader, terminator, max_line_bytes);
        Self { window, max_line_bytes, quoting: None, used: 0, searched: 0 }
    }

    /// From here on fields may be quoted; `None`: every line is a record.
    pub(crate) fn set_quoting(&mut self, delimiter: Option<u8>) {
        self.quoting = delimiter;
    }

    /// Physical lines seen so far.
    pub(crate) fn n_lines(&self) -> u64 {
        self.window.n_lines()
    }

    pub(crate) fn into_reader(self) -> R {
        self.window.into_reader()
    }

    /// The beginning of the stream up to its first line that is not blank; empty when there is none.
    pub(crate) fn peek(&mut self) -> io::Result<&[u8]> {
        while !self.skip_to_line(true)? {
            if self.window.ended() {
                return Ok(&[]);
            }
        }
        Ok(self.window.line(0).map_or(&[], |line| self.window.bytes(line.start, line.end)))
    }

    /// The next record; unless `wait`, only what needs no reading.
    pub(crate) fn next(&mut self, wait: bool) -> io::Result<Next<'_>> {
        self.window.release(self.used);
        self.searched = self.searched.saturating_sub(self.used);
        self.used = 0;
        while !self.skip_to_line(wait)? {
            if self.window.ended() {
                return Ok(Next::End);
            }
            if !wait {
                return Ok(Next::Pending);
            }
        }
        let Some(first) = self.window.line(0) else {
            return Ok(Next::End);
        };
        let max_line_bytes = self.max_line_bytes;
        if first.too_long {
            return Ok(self.broken(Broken::TooLong { max_line_bytes }));
        }
        let opened = self.quoting.and_then(|delimiter| {
            let field = open_quote(self.window.bytes(first.start, first.end), delimiter, false)?;
            Some((delimiter, field))
        });
        let Some((delimiter, field)) = opened else {
            return Ok(self.record(1));
        };
        self.searched = self.searched.max(1);
        loop {
            let Some(line) = self.window.line(self.searched) else {
                if self.window.ended() {
                    return Ok(self.broken(Broken::NeverClosed { field }));
                }
                if !wait {
                    return Ok(Next::Pending);
                }
                self.window.fill()?;
                continue;
            };
            if line.too_long || line.end - first.start > max_line_bytes {
                return Ok(self.broken(Broken::NotClosedWithin { field, max_line_bytes }));
            }
            if open_quote(self.window.bytes(line.start, line.end), delimiter, true).is_none() {
                return Ok(self.record(self.searched + 1));
            }
            self.searched += 1;
        }
    }

    /// Brings a line that is not blank to the front of the window; `false` when none has arrived.
    fn skip_to_line(&mut self, wait: bool) -> io::Result<bool> {
        loop {
            match self.window.line(0) {
                Some(line) if line.start == line.end => {
                    self.window.release(1);
                    self.searched = self.searched.saturating_sub(1);
                }
                Some(_) => return Ok(true),
                None if wait && !self.window.ended() => self.window.fill()?,
                None => return Ok(false),
            }
        }
    }

    fn record(&mut self, n_lines: usize) -> Next<'_> {
        match (self.window.line(0), self.window.line(n_lines - 1)) {
            (Some(first), Some(last)) => {
                self.used = n_lines;
                Next::Record { line: first.number, bytes: self.window.bytes(first.start, last.end) }
            }
            _ => Next::End,
        }
    }

    fn broken(&mut self, why: Broken) -> Next<'_> {
        match self.window.line(0) {
            Some(line) => {
                self.used = 1;
                Next::Broken { line: line.number, why, beginning: self.window.bytes(line.start, line.end) }
            }
            None => Next::End,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// Line and bytes of records; line and reason of broken ones.
    fn read(content: &[u8], capacity: usize, max_line_bytes: usize) -> Vec<(u64, Result<String, Broken>)> {
        let mut records = Records::new(BufReader::with_capacity(capacity, content), b'\n', max_line_bytes);
        records.set_quoting(Some(b','));
        let mut found = Vec::new();
        loop {
            match records.next(true).unwrap() {
                Next::Record { line, bytes } => found.push((line, Ok(String::from_utf8_lossy(bytes).into_owned()))),
                Next::Broken { line, why, .. } => found.push((line, Err(why))),
                Next::Pending => unreachable!("asked to wait"),
                Next::End => return found,
            }
        }
    }

    #[rstest]
    #[case::plain("a\n\nb\r\n", &[(1, Some("a")), (3, Some("b"))])]
    #[case::quoted_line_end("\"a\nb\",c\nd", &[(1, Some("\"a\nb\",c")), (3, Some("d"))])]
    #[case::quoted_blank_line("\"a\n\nb\"\nc", &[(1, Some("\"a\n\nb\"")), (4, Some("c"))])]
    #[case::never_closed("a\n\"b\nc\nd", &[(1, Some("a")), (2, None), (3, Some("c")), (4, Some("d"))])]
    #[case::quote_inside_a_field("a\"\nb\"\n", &[(1, Some("a\"")), (2, Some("b\""))])]
    #[case::opened_twice("a,\"b\nc\nx,\"y\n", &[(1, Some("a,\"b\nc\nx,\"y")) ])]
    fn records_and_their_lines(
        #[case] content: &str,
        #[case] expected: &[(u64, Option<&str>)],
        #[values(1, 2, 5, 64)] capacity: usize,
    ) {
        let found = read(content.as_bytes(), capacity, 100);
        let found: Vec<_> = found.iter().map(|(line, record)| (*line, record.as_deref().ok())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_quote_open_for_too_long_breaks_one_line() {
        let found = read(b"\"a\n2345678901\n3\"\n4", 64, 12);
        assert_eq!(found[0], (1, Err(Broken::NotClosedWithin { field: 0, max_line_bytes: 12 })));
        assert_eq!(found[1], (2, Ok("2345678901".to_owned())));
        assert_eq!(found[2], (3, Ok("3\"".to_owned())));
        assert_eq!(found[3], (4, Ok("4".to_owned())));
    }

    #[rstest]
    #[case::two_lines_a_record(b"\"\n", 1 << 18)]
    #[case::open_in_both_states(b"a\",\"\n", 1 << 19)]
    #[case::escaped(b"\"\"\"\n", 1 << 18)]
    fn hostile_quotes_cost_linear_time(
        #[case] line: &[u8],
        #[case] n_expected: usize,
        #[values(1 << 16, 1 << 24)] max_line_bytes: usize,
    ) {
        // Following each of half a million open quotes to the end would take hours.
        assert_eq!(read(&line.repeat(1 << 19), 1 << 16, max_line_bytes).len(), n_expected);
    }

    #[test]
    fn what_has_arrived_is_given_without_waiting() {
        /// A pipe that panics where a real one would block for ever.
        struct Pipe(&'static [u8]);
        impl io::Read for Pipe {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                assert!(!self.0.is_empty(), "read from an empty pipe");
                self.0.read(buf)
            }
        }
        let mut records = Records::new(BufReader::new(Pipe(b"a\nb\nc")), b'\n', 100);
        assert!(matches!(records.next(false).unwrap(), Next::Pending));
        assert!(matches!(records.next(true).unwrap(), Next::Record { line: 1, bytes: b"a" }));
        assert!(matches!(records.next(true).unwrap(), Next::Record { line: 2, bytes: b"b" }));
        assert!(matches!(records.next(false).unwrap(), Next::Pending));
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_into_lines_once_and_in_order(
            content in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b','), Just(b'\n'), any::<u8>()], 0..200),
            capacity in 1_usize..8,
            max_line_bytes in 1_usize..40,
        ) {
            let found = read(&content, capacity, max_line_bytes);
            prop_assert_eq!(&found, &read(&content, 4096, max_line_bytes));
            let n_lines = content.split(|&b| b == b'\n').count() as u64;
            let mut next = 1;
            for (line, record) in found {
                prop_assert!(line >= next && line <= n_lines);
                next = line + 1 + record.map_or(0, |text| text.matches('\n').count() as u64);
            }
        }
    }
}
