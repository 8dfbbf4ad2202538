//! Where a request ends.
//!
//! Lengths that logs declare are often wrong: line ends were converted, bodies cut, or an attacker lied. So a length is believed when it
//! leads to where a request can end: to the end of the log, or to line ends and a request line. Of several that do (two
//! lengths, or a length and chunks) the longest counts, so that a smuggled request stays in the body that carries it. A length is also
//! right if it is so when line ends are counted as CR LF or as LF, or if it leads to a blank line, whatever is behind that. Where none
//! fits, the body reaches up to the next blank line with a request line after it. A GET or HEAD that declares nothing has no body: what
//! follows it and is no request is rejected.
//!
//! Cost is linear in the log, however hostile: what is looked at ahead of a request is bounded, and what is searched for its end is
//! not searched again.

use memchr::memchr;

use crate::source::http::{LOOK_AHEAD, RequestLine, Sureness, begins_request, fields, is_blank, is_chunked, is_field};

/// Bytes of the longest head after the request line.
const MAX_HEAD: usize = 1 << 20;

/// Line ends that end a request whatever follows them, in bytes.
const MAX_BLANK: usize = 1024;

/// Bytes after a request, at most, that decide whether it ends there.
pub(crate) const MAX_LOOK_AHEAD: usize = MAX_BLANK + LOOK_AHEAD;

/// Declared lengths of one request that are tried.
const MAX_LENGTHS: usize = 4;

/// Chunks of a body that are followed.
const MAX_CHUNKS: usize = 512;

/// Bytes of the longest line with the size of a chunk.
const MAX_SIZE_LINE: usize = 256;

/// Longest declared length that is counted again with other line ends.
const MAX_RECOUNTED: usize = 4096;

/// What begins at a position of a log; all positions count from the start of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Framed {
    /// A whole request, up to `end`. A request without body ends with its last header, without line end.
    Request {
        end: usize,
        /// Where reading goes on, after the blank lines that follow.
        next: usize,
        /// It declares a body, but no declared length fits; its end is told by what follows.
        misdeclared: bool,
    },
    /// Not whole yet: more bytes are needed. Never when the input has ended.
    Pending,
    /// No request: what stands before `next` is rejected, mostly one line.
    Stray { next: usize, reason: String },
}

/// Finds the ends of requests in a log that is shown piece by piece.
///
/// What is found does not depend on the pieces. After [`Framed::Pending`] the same request must be shown again with more bytes; what has
/// been searched of it is remembered.
#[derive(Debug)]
pub(crate) struct Framer {
    max_bytes: usize,
    /// All that is shown is one request: nothing behind a body can be something else.
    is_alone: bool,
    phase: Phase,
    // Positions count from the start of the request.
    /// Start of the line at hand.
    line: usize,
    /// No LF is between the start of the line and here.
    looked: usize,
    /// End of the last line that is not blank.
    text_end: usize,
}

#[derive(Debug)]
enum Phase {
    RequestLine,
    Headers {
        start: usize,
    },
    /// At the start of the body, whose length is to be believed or not.
    Body {
        declared: Declared,
    },
    /// In search of a blank line with a request line after it.
    Search {
        misdeclared: bool,
        after_blank: bool,
    },
}

impl Framer {
    /// No request is longer than `max_bytes`.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, is_alone: false, phase: Phase::RequestLine, line: 0, looked: 0, text_end: 0 }
    }

    /// Of requests that are shown one at a time.
    pub(crate) fn alone(max_bytes: usize) -> Self {
        Self { is_alone: true, ..Self::new(max_bytes) }
    }

    /// What begins at `input[at]`, which is no line end (see [`skip_blank`]); `ended`: nothing comes after the input.
    pub(crate) fn frame(&mut self, input: &[u8], at: usize, ended: bool) -> Framed {
        let rest = input.get(at..).unwrap_or_default();
        let framed = if rest.is_empty() { None } else { self.advance(rest, ended) };
        if framed.is_some() {
            *self = Self { is_alone: self.is_alone, ..Self::new(self.max_bytes) };
        }
        match framed {
            None => Framed::Pending,
            Some(Framed::Request { end, next, misdeclared }) => {
                Framed::Request { end: at + end, next: at + next, misdeclared }
            }
            Some(Framed::Stray { next, reason }) => Framed::Stray { next: at + next, reason },
            Some(Framed::Pending) => Framed::Pending,
        }
    }

    fn advance(&mut self, rest: &[u8], ended: bool) -> Option<Framed> {
        loop {
            if let Some(framed) = self.step(rest, ended)? {
                return Some(framed);
            }
        }
    }

    /// One line, or one decision; `None` when more bytes are needed.
    fn step(&mut self, rest: &[u8], ended: bool) -> Option<Option<Framed>> {
        match &mut self.phase {
            Phase::RequestLine => {
                let Some((end, next)) = self.line(rest, ended)? else { return Some(Some(self.too_long())) };
                if RequestLine::of(&rest[..end]).is_none() {
                    let reason = "expected a request line `METHOD target HTTP/x.y`".into();
                    return Some(Some(Framed::Stray { next, reason }));
                }
                self.take_line(rest, end, next);
                self.phase = Phase::Headers { start: next };
            }
            &mut Phase::Headers { start } => {
                if self.line == rest.len() {
                    let misdeclared = ended && Declared::of(&rest[start..self.text_end.max(start)]).has_body();
                    return ended.then(|| Some(self.request(rest.len(), misdeclared)));
                }
                if self.line - start > MAX_HEAD {
                    return Some(Some(self.too_long()));
                }
                let Some((end, next)) = self.line(rest, ended)? else { return Some(Some(self.too_long())) };
                if is_blank(&rest[self.line..end]) {
                    let declared = Declared::of(&rest[start..self.text_end.max(start)]);
                    (self.line, self.looked) = (next, next);
                    if declared.is_silent() && has_no_body(rest) {
                        return Some(Some(self.request(after_blank(rest, next), false)));
                    }
                    self.phase = Phase::Body { declared };
                } else if begins_request(rest, self.line, ended, Sureness::Plain)? {
                    // As in logs that lost their blank lines.
                    let misdeclared = Declared::of(&rest[start..self.text_end.max(start)]).has_body();
                    return Some(Some(self.request(self.line, misdeclared)));
                } else {
                    self.take_line(rest, end, next);
                }
            }
            Phase::Body { declared } => {
                let body = Body { rest, start: self.line, ended, max_bytes: self.max_bytes, is_alone: self.is_alone };
                if let Some(end) = body.declared_end(declared)? {
                    let next = after_blank(rest, end);
                    let end = if end == self.line { self.text_end } else { end };
                    return Some(Some(Framed::Request { end, next, misdeclared: false }));
                }
                self.phase = Phase::Search { misdeclared: !declared.is_silent(), after_blank: true };
            }
            &mut Phase::Search { misdeclared, after_blank } => {
                match &rest[self.line..] {
                    [] => return ended.then(|| Some(self.request(rest.len(), misdeclared))),
                    [b'\r'] if !ended => return None,
                    [b'\r'] => self.line += 1,
                    [b'\n', ..] => self.line += 1,
                    [b'\r', b'\n', ..] => self.line += 2,
                    _ if after_blank && begins_request(rest, self.line, ended, Sureness::Plain)? => {
                        return Some(Some(self.request(self.line, misdeclared)));
                    }
                    _ => {
                        let Some((end, next)) = self.line(rest, ended)? else { return Some(Some(self.too_long())) };
                        self.take_line(rest, end, next);
                        self.phase = Phase::Search { misdeclared, after_blank: false };
                        return Some(None);
                    }
                }
                self.looked = self.line;
                if self.line - self.text_end >= MAX_BLANK {
                    return Some(Some(self.request(self.line, misdeclared)));
                }
                self.phase = Phase::Search { misdeclared, after_blank: true };
            }
        }
        Some(None)
    }

    /// End of the line at hand without LF, and start of the next; `Some(None)` when the request would be too long with it.
    fn line(&mut self, rest: &[u8], ended: bool) -> Option<Option<(usize, usize)>> {
        let visible = rest.len().min(self.max_bytes.saturating_add(1));
        match memchr(b'\n', &rest[self.looked.min(visible)..visible]) {
            Some(n) => Some(Some((self.looked + n, self.looked + n + 1))),
            None if rest.len() > self.max_bytes => Some(None),
            None if ended => Some(Some((rest.len(), rest.len()))),
            None => {
                self.looked = rest.len();
                None
            }
        }
    }

    fn take_line(&mut self, rest: &[u8], end: usize, next: usize) {
        let has_cr = end > self.line && rest[end - 1] == b'\r';
        self.text_end = end - usize::from(has_cr);
        (self.line, self.looked) = (next, next);
    }

    /// The request up to the last line that is not blank.
    fn request(&self, next: usize, misdeclared: bool) -> Framed {
        Framed::Request { end: self.text_end, next, misdeclared }
    }

    /// What has been searched is given up as a whole: to try again from each of its lines could take for ever.
    fn too_long(&self) -> Framed {
        let next = if self.line > 0 { self.line } else { self.max_bytes.max(1) };
        let reason = match self.phase {
            Phase::RequestLine => format!("longer than {} bytes", self.max_bytes),
            Phase::Headers { .. } => {
                format!("headers do not end within {} bytes", self.max_bytes.min(MAX_HEAD))
            }
            _ => format!("request does not end within {} bytes", self.max_bytes),
        };
        Framed::Stray { next, reason }
    }
}

/// The first position from `at` on that is no line end.
pub(crate) fn skip_blank(input: &[u8], at: usize) -> usize {
    let rest = input.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count()
}

/// Whether a request of this method has no body unless its headers declare one, RFC 9112, 6.3. Of the others logs may have lost the
/// headers that do.
fn has_no_body(request: &[u8]) -> bool {
    [&b"GET "[..], b"HEAD ", b"OPTIONS ", b"TRACE ", b"CONNECT "].iter().any(|method| request.starts_with(method))
}

/// [`skip_blank`] for [`MAX_BLANK`] bytes at most.
fn after_blank(rest: &[u8], at: usize) -> usize {
    skip_blank(&rest[..rest.len().min(at.saturating_add(MAX_BLANK))], at)
}

/// What a head says about its body.
#[derive(Debug, Default)]
struct Declared {
    lengths: Vec<usize>,
    is_chunked: bool,
    /// A length that is no number, or one too many.
    has_other: bool,
}

impl Declared {
    fn of(headers: &[u8]) -> Self {
        let mut declared = Self::default();
        for (name, value) in fields(&String::from_utf8_lossy(headers)) {
            let name = name.trim();
            if name.eq_ignore_ascii_case("content-length") {
                for length in value.split(',') {
                    let length = length.trim();
                    let is_number = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
                    match length.parse() {
                        Ok(length) if declared.lengths.contains(&length) => {}
                        Ok(length) if is_number && declared.lengths.len() < MAX_LENGTHS => {
                            declared.lengths.push(length)
                        }
                        _ => declared.has_other = true,
                    }
                }
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                declared.is_chunked |= is_chunked(&value);
            }
        }
        declared
    }

    fn is_silent(&self) -> bool {
        self.lengths.is_empty() && !self.is_chunked && !self.has_other
    }

    fn has_body(&self) -> bool {
        self.is_chunked || self.has_other || self.lengths.iter().any(|&length| length > 0)
    }
}

/// The place where a body begins. `None` from its functions means that more bytes are needed.
#[derive(Debug, Clone, Copy)]
struct Body<'a> {
    rest: &'a [u8],
    start: usize,
    ended: bool,
    max_bytes: usize,
    is_alone: bool,
}

impl Body<'_> {
    /// The end of the body by what is declared, if that fits.
    fn declared_end(self, declared: &Declared) -> Option<Option<usize>> {
        let mut longest = None;
        for &length in &declared.lengths {
            let end = self.start.saturating_add(length);
            if self.is_end(end)? {
                longest = longest.max(Some(end));
            }
        }
        if declared.is_chunked
            && let Some(end) = self.last_chunk()?
            && self.is_end(end)?
        {
            longest = longest.max(Some(end));
        }
        if longest.is_none() {
            for &length in declared.lengths.iter().filter(|&&length| length <= MAX_RECOUNTED) {
                // Logs are converted to LF more often than from it.
                for as_crlf in [true, false] {
                    if let Some(end) = self.recounted(length, as_crlf)?
                        && self.is_end(end)?
                    {
                        longest = longest.max(Some(end));
                        break;
                    }
                }
            }
        }
        if longest.is_none() && !self.is_alone {
            longest = declared.lengths.iter().map(|&length| self.start.saturating_add(length)).find(|&end| {
                let blank = self.rest.get(end..after_blank(self.rest, end)).unwrap_or_default();
                (self.start + 1..=self.max_bytes).contains(&end)
                    && blank.iter().filter(|&&byte| byte == b'\n').count() > 1
            });
        }
        Some(longest)
    }

    /// Whether a request may end here.
    fn is_end(self, end: usize) -> Option<bool> {
        if end > self.max_bytes {
            return Some(false);
        }
        if end > self.rest.len() {
            return self.ended.then_some(false);
        }
        if self.rest[..end].ends_with(b"\r") && self.rest[end..].starts_with(b"\n") {
            return Some(false);
        }
        let next = after_blank(self.rest, end);
        if next - end == MAX_BLANK {
            return Some(true);
        }
        if next == self.rest.len() {
            return self.ended.then_some(true);
        }
        let sureness = if next > end {
            Sureness::Form
        } else if self.rest[..end].ends_with(b"\n") {
            Sureness::Plain
        } else {
            Sureness::Known
        };
        begins_request(self.rest, next, self.ended, sureness)
    }

    /// The end of the last chunk and of the headers after it; `Some(None)` when what follows is not in chunks.
    fn last_chunk(self) -> Option<Option<usize>> {
        let mut at = self.start;
        for _ in 0..MAX_CHUNKS {
            let Some((end, next)) = self.short_line(at, MAX_SIZE_LINE)? else { return Some(None) };
            let Some(size) = chunk_size(&self.rest[at..end]) else { return Some(None) };
            if size == 0 {
                return self.trailers(next).map(Some);
            }
            let end = next.saturating_add(size);
            if end > self.max_bytes {
                return Some(None);
            }
            at = match self.rest.get(end..).unwrap_or_default() {
                [b'\n', ..] => end + 1,
                [b'\r', b'\n', ..] => end + 2,
                [] | [b'\r'] if !self.ended => return None,
                _ => return Some(None),
            };
        }
        Some(None)
    }

    /// The end of the headers after the last chunk, and of the blank line after them.
    fn trailers(self, mut at: usize) -> Option<usize> {
        for _ in 0..64 {
            match self.short_line(at, LOOK_AHEAD)? {
                Some((end, next)) if is_blank(&self.rest[at..end]) => return Some(next),
                Some((end, next)) if is_field(&self.rest[at..end]) => at = next,
                _ => break,
            }
        }
        Some(at)
    }

    /// End and successor of a line of at most `max_bytes`.
    fn short_line(self, at: usize, max_bytes: usize) -> Option<Option<(usize, usize)>> {
        let seen = &self.rest[at..];
        match memchr(b'\n', &seen[..seen.len().min(max_bytes)]) {
            Some(n) => Some(Some((at + n, at + n + 1))),
            None if seen.len() >= max_bytes => Some(None),
            None => self.ended.then_some(Some((self.rest.len(), self.rest.len()))),
        }
    }

    /// The end of `length` bytes where each line end counts as CR LF, or each as LF; `Some(None)` when that falls into a line end.
    fn recounted(self, length: usize, as_crlf: bool) -> Option<Option<usize>> {
        let (mut at, mut left) = (self.start, length);
        while left > 0 {
            // One more, since CR LF may be to count as one.
            let window = &self.rest[at..self.rest.len().min(at + left + 1)];
            let Some(n) = memchr(b'\n', window) else {
                if window.len() < left + 1 && !self.ended {
                    return None;
                }
                return Some((window.len() >= left).then_some(at + left));
            };
            let n_text = n - usize::from(n > 0 && window[n - 1] == b'\r');
            let n_counted = n_text + if as_crlf { 2 } else { 1 };
            if n_counted > left {
                return Some((n_text >= left).then_some(at + left));
            }
            left -= n_counted;
            at += n + 1;
        }
        Some(Some(at))
    }
}

/// The size that a line before a chunk says; extensions after it do not count.
fn chunk_size(line: &[u8]) -> Option<usize> {
    let digits = line.split(|&b| b == b';').next()?.trim_ascii();
    let digits = str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    usize::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::path::Path;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const MAX_BYTES: usize = 16 << 20;

    /// What a log is cut into: start of each piece, what it is and whether it is misdeclared; strays are told by their reason.
    #[derive(Debug, Clone, PartialEq, Eq)]
    enum Piece {
        Request(usize, usize, bool),
        Stray(usize, usize, String),
    }

    /// All pieces of a log of which `n_shown` bytes more are shown at a time.
    fn pieces(input: &[u8], n_shown: usize, max_bytes: usize) -> Vec<Piece> {
        let mut framer = Framer::new(max_bytes);
        let mut found = Vec::new();
        let (mut at, mut shown) = (0, n_shown.min(input.len()));
        loop {
            let ended = shown == input.len();
            at = skip_blank(&input[..shown], at);
            let framed = if at == shown && ended { return found } else { framer.frame(&input[..shown], at, ended) };
            match framed {
                Framed::Pending => {
                    assert!(!ended, "more is wanted after the end");
                    shown = (shown + n_shown).min(input.len());
                }
                Framed::Request { end, next, misdeclared } => {
                    assert!(at < end && end <= next && next <= shown, "{at} {end} {next}");
                    found.push(Piece::Request(at, end, misdeclared));
                    at = next;
                }
                Framed::Stray { next, reason } => {
                    assert!(at < next && next <= shown, "{at} {next}");
                    found.push(Piece::Stray(at, next, reason));
                    at = next;
                }
            }
        }
    }

    /// Texts of requests, misdeclared ones after `?`, and of strays after `!`.
    fn texts(input: &str) -> Vec<String> {
        let found = pieces(input.as_bytes(), input.len(), MAX_BYTES);
        for n_shown in [1, 3, 7] {
            assert_eq!(pieces(input.as_bytes(), n_shown, MAX_BYTES), found);
        }
        let text = |piece: &Piece| match *piece {
            Piece::Request(start, end, misdeclared) => {
                format!("{}{}", if misdeclared { "?" } else { "" }, &input[start..end])
            }
            Piece::Stray(start, next, _) => format!("!{}", input[start..next].trim_end()),
        };
        found.iter().map(text).collect()
    }

    const GET: &str = "GET / HTTP/1.1\r\nHost: a";

    #[rstest]
    #[case::none("", &[])]
    #[case::blank("\r\n\n\r\n", &[])]
    #[case::one("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[GET])]
    #[case::cut_in_the_head("GET / HTTP/1.1\r\nHost: a", &[GET])]
    #[case::cut_in_the_line("GET / HT", &["!GET / HT"])]
    #[case::two("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[GET, GET])]
    #[case::no_blank_lines("GET /a HTTP/1.1\nGET /b HTTP/1.1\n", &["GET /a HTTP/1.1", "GET /b HTTP/1.1"])]
    #[case::strays("a\nb\n\nGET / HTTP/1.1\n\n", &["!a", "!b", "GET / HTTP/1.1"])]
    #[case::after_a_body(
        "POST / HTTP/1.1\nContent-Length: 3\n\nx=1\n\nNULL\nT / HTT\n\nGET / HTTP/1.1\n\n",
        &["POST / HTTP/1.1\nContent-Length: 3\n\nx=1", "!NULL", "!T / HTT", "GET / HTTP/1.1"],
    )]
    fn strays_and_requests_without_body(#[case] input: &str, #[case] expected: &[&str]) {
        assert_eq!(texts(input), expected);
    }

    /// Each body with the head that declares it; `?` where no declared length fits. Another request follows.
    #[rstest]
    #[case::right("Content-Length: 3", "x=1", "")]
    #[case::zero("content-length:0", "", "")]
    #[case::spelled_otherwise("CONTENT-LENGTH :  3 ", "x=1", "")]
    #[case::folded("Content-Length:\r\n 3", "x=1", "")]
    #[case::a_request_inside("Content-Length: 26", "0\r\n\r\nGET /x HTTP/1.1\r\nA: b", "")]
    #[case::counted_as_crlf("Content-Length: 26", "0\n\nGET /x HTTP/1.1\nA: b", "")]
    #[case::counted_as_lf("Content-Length: 23", "0\r\n\r\nGET /x HTTP/1.1\r\nA: b", "")]
    #[case::too_short("Content-Length: 2", "x=12", "?")]
    #[case::too_long("Content-Length: 200", "x=12", "?")]
    #[case::far_too_long("Content-Length: 99999999999999999999", "x=12", "?")]
    #[case::no_number("Content-Length: -4", "x=12", "?")]
    #[case::zero_and_a_body("Content-Length: 0", "x=12", "?")]
    #[case::no_body("Content-Length: 5", "", "?")]
    #[case::twice("Content-Length: 1\r\nContent-Length: 4", "x=12", "")]
    #[case::list("Content-Length: 4, 4", "x=12", "")]
    #[case::not_declared("Host: a", "x=12\r\n\r\ny", "")]
    #[case::chunks("Transfer-Encoding: chunked", "3\r\nx=1\r\n2;a=b\r\n23\r\n0\r\n\r\n", "")]
    #[case::a_request_in_chunks(
        "Transfer-Encoding: chunked",
        "14\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n0\r\nA: b\r\n\r\n",
        ""
    )]
    #[case::smuggled_after_chunks(
        "Content-Length: 26\r\nTransfer-Encoding: chunked",
        "0\r\n\r\nGET /x HTTP/1.1\r\nA: b",
        ""
    )]
    #[case::smuggled_in_chunks(
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "13\r\nGET /x HTTP/1.1\r\n\r\n\r\n0\r\n\r\n",
        ""
    )]
    #[case::broken_chunks("Transfer-Encoding: chunked", "5\r\nx=1", "?")]
    fn bodies_end_where_the_evidence_says(#[case] declared: &str, #[case] body: &str, #[case] mark: &str) {
        let head = format!("POST /a HTTP/1.1\r\n{declared}");
        let request = if body.is_empty() { head.trim_end().to_owned() } else { format!("{head}\r\n\r\n{body}") };
        for end in ["\r\n\r\n", "\n\n", "\r\n\r\n\r\n"] {
            let input = format!("{head}\r\n\r\n{body}{end}{GET}\r\n\r\n");
            assert_eq!(texts(&input), [format!("{mark}{request}"), GET.to_owned()]);
        }
    }

    #[test]
    fn a_request_inside_a_body_of_wrong_length_is_one_of_its_own() {
        // Nothing tells that the body goes on.
        let body = "0\n\nGET /x HTTP/1.1\nA: b";
        let input = format!("POST / HTTP/1.1\nContent-Length: 99\n\n{body}\n\n{GET}\n\n");
        assert_eq!(texts(&input), ["?POST / HTTP/1.1\nContent-Length: 99\n\n0", "GET /x HTTP/1.1\nA: b", GET]);
    }

    #[rstest]
    #[case::directly("Content-Length: 3", "x=1", &["x=1"])]
    #[case::off_by_one("Content-Length: 2", "x=1", &["?x=1GET / HTTP/1.1\r\nHost: a"])]
    #[case::a_line_end("Content-Length: 3", "x=1\n", &["x=1"])]
    fn a_request_right_after_a_body(#[case] declared: &str, #[case] body: &str, #[case] expected: &[&str]) {
        let head = format!("POST /a HTTP/1.1\r\n{declared}\r\n\r\n");
        let found = texts(&format!("{head}{body}{GET}\r\n\r\n"));
        assert_eq!(found[0].replace(&head, ""), expected[0]);
        assert_eq!(found.len(), if declared.ends_with('2') { 1 } else { 2 });
    }

    #[test]
    fn a_body_that_is_cut_reaches_to_the_end() {
        assert_eq!(
            texts("POST / HTTP/1.1\nContent-Length: 9\n\nx=1\n"),
            ["?POST / HTTP/1.1\nContent-Length: 9\n\nx=1"]
        );
        assert_eq!(texts("POST / HTTP/1.1\nContent-Length: 9\n"), ["?POST / HTTP/1.1\nContent-Length: 9"]);
    }

    #[test]
    fn what_is_too_long_is_given_up_as_a_whole() {
        let input = format!("POST / HTTP/1.1\n\n{}\n\nGET / HTTP/1.1\n\n", "abc\n".repeat(20));
        let found = pieces(input.as_bytes(), 5, 40);
        assert_eq!(found[0], Piece::Stray(0, 41, "request does not end within 40 bytes".into()));
        assert!(matches!(found.last(), Some(Piece::Request(..))));
        assert_eq!(pieces(&[b'a'; 90], 7, 40).len(), 3);
    }

    #[rstest]
    #[case::requests("GET / HTTP/1.1\r\n\r\n")]
    #[case::request_lines("GET / HTTP/1.1\n")]
    #[case::request_lines_of_form_alone("a b HTTP/1.1\n")]
    #[case::headers("a: b\n")]
    #[case::requests_in_bodies("x\nGET / HTTP/1.1\n\n")]
    #[case::far_lengths("POST / HTTP/1.1\nContent-Length: 1000000\n\n")]
    #[case::near_lengths("POST / HTTP/1.1\nContent-Length: 4096\n\n")]
    #[case::chunks("POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n1\na\n")]
    #[case::blank_lines("GET / HTTP/1.1\nA\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n")]
    #[case::line("GET /")]
    fn hostile_logs_cost_linear_time(
        #[case] text: &str,
        #[values("", "GET / HTTP/1.1\n")] start: &str,
        #[values(4096, 1 << 24)] max_bytes: usize,
    ) {
        // To search to the end from each of tens of thousands of lines would take many minutes.
        let mut input = start.as_bytes().to_vec();
        input.extend(text.as_bytes().iter().cycle().take(1 << 20));
        assert!(!pieces(&input, 1 << 14, max_bytes).is_empty());
    }

    /// Counts and lengths as an independent reader in Python found them: it goes by `Content-Length` alone.
    #[rstest]
    #[case("norm_test.txt.gz", &[("GET", 5_619), ("POST", 1_581)], 149_051)]
    #[case("anomal_test.txt.gz", &[("GET", 3_000), ("POST", 1_932), ("PUT", 81)], 251_077)]
    fn the_requests_of_csic_2010(#[case] name: &str, #[case] expected: &[(&str, usize)], #[case] n_body_bytes: usize) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/csic2010/raw_requests");
        if !folder.is_dir() {
            eprintln!("SKIPPED, tested on small built-in logs alone: no folder `{}`", folder.display());
            return;
        }
        let mut input = String::new();
        let file = std::fs::File::open(folder.join(name)).unwrap();
        flate2::read::MultiGzDecoder::new(file).read_to_string(&mut input).unwrap();
        let found = pieces(input.as_bytes(), 1 << 16, MAX_BYTES);
        let mut n_methods = std::collections::BTreeMap::<String, usize>::new();
        let mut n_bytes = 0;
        for piece in found {
            let Piece::Request(start, end, false) = piece else { panic!("{piece:?}") };
            let mut cells = std::collections::BTreeMap::new();
            crate::source::http::parse::parse(&input[start..end], &mut |name, value| {
                cells.insert(name, value);
            })
            .unwrap();
            *n_methods.entry(cells["method"].to_string()).or_default() += 1;
            assert!(cells["host"].starts_with("localhost:"), "{}", cells["host"]);
            assert!(cells["path"].starts_with('/'), "{}", cells["path"]);
            let n_body = cells.get("body").map(|body| body.len());
            assert_eq!(n_body, cells.get("content_length").map(|length| length.parse().unwrap()));
            n_bytes += n_body.unwrap_or_default();
        }
        let n_methods: Vec<_> = n_methods.iter().map(|(name, &n)| (name.as_str(), n)).collect();
        assert_eq!((n_methods.as_slice(), n_bytes), (expected, n_body_bytes));
    }

    /// Logs of pieces that matter to the framing.
    fn log() -> impl Strategy<Value = Vec<u8>> {
        const PARTS: [&[u8]; 22] = [
            b"GET / HTTP/1.1\r\n",
            b"GET /a b HTTP/1.1\n",
            b"a b HTTP/1.1\n",
            b"POST /x HTTP/1.0",
            b"Host: a\r\n",
            b"Content-Length: 5\r\n",
            b"content-length: 17\n",
            b"Content-Length: 300\n",
            b"Transfer-Encoding: chunked\r\n",
            b"5\r\nhello\r\n",
            b"3\nabc\n",
            b"0\r\n\r\n",
            b"0\n",
            b"hello",
            b"\r\n",
            b"\n",
            b"\r\n\r\n",
            b"\r",
            b" ",
            b": ",
            b"\xff",
            b"GET",
        ];
        proptest::collection::vec(proptest::sample::select(PARTS.to_vec()), 0..30).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn any_log_is_cut_once_and_in_order_however_it_is_shown(
            input in prop_oneof![log(), proptest::collection::vec(any::<u8>(), 0..80)],
            n_shown in 1_usize..40,
            max_bytes in prop_oneof![Just(MAX_BYTES), 1_usize..200],
        ) {
            let found = pieces(&input, input.len().max(1), max_bytes);
            prop_assert_eq!(&pieces(&input, n_shown, max_bytes), &found);
            let mut at = 0;
            for piece in found {
                let (start, end, max_bytes) = match piece {
                    Piece::Request(start, end, _) => (start, end, max_bytes),
                    Piece::Stray(start, next, _) => (start, next, max_bytes + MAX_BLANK + 1),
                };
                prop_assert!(at <= start && input[at..start].iter().all(|b| matches!(b, b'\r' | b'\n')));
                prop_assert!(end - start <= max_bytes);
                at = end;
            }
            prop_assert!(input[at..].iter().all(|b| matches!(b, b'\r' | b'\n')));
        }

        #[test]
        fn bodies_of_the_declared_length_are_kept_whatever_they_hold(bodies in proptest::collection::vec(log(), 1..5)) {
            let mut input = Vec::new();
            for body in &bodies {
                input.extend_from_slice(format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes());
                input.extend_from_slice(body);
                input.extend_from_slice(b"\r\n\r\n");
            }
            let found = pieces(&input, input.len(), MAX_BYTES);
            prop_assert_eq!(found.len(), bodies.len());
            for (piece, body) in found.iter().zip(&bodies) {
                let Piece::Request(start, end, false) = *piece else { panic!("{piece:?}") };
                prop_assert!(body.is_empty() || input[start..end].ends_with(body));
            }
        }
    }
}
