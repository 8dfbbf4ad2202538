//! Logs of raw HTTP/1.x requests, one after another with blank lines in between: head, blank line, body.
//!
//! `frame` finds where a request ends, `parse` takes it apart. Lines end with LF, a CR before it or not. A request line is a method,
//! a target and a version; what stands between the first and the last word is the target, spaces included, since attacks
//! send them.
//!
//! Limits: answers between the requests are taken for bodies; bodies are not decompressed; HTTP/0.9, whose requests have no version,
//! is not read.

pub(crate) mod frame;
pub(crate) mod parse;

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use crate::source::http::frame::skip_blank;
use crate::source::layout::without_mark;

/// Bytes of the longest method; that of WebDAV with the longest name has 17.
const MAX_METHOD: usize = 64;

/// Methods by which a request is told even in the middle of a line.
const KNOWN_METHODS: [&[u8]; 14] = [
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"CONNECT",
    b"OPTIONS",
    b"TRACE",
    b"PATCH",
    b"PROPFIND",
    b"SEARCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
];

/// Bytes within which a line shows whether it is a request line. Each request may have this much looked at ahead of it, whatever its
/// head declares, so it bounds what a hostile log can cost.
const LOOK_AHEAD: usize = 8 * 1024;

/// Lines behind which a log of requests is looked for that begins with something else: the rest of a request that was cut, a remark.
const MAX_LINES_BEFORE: usize = 64;

/// Whether a text begins as a log of requests.
pub(crate) fn is_http(head: &[u8]) -> bool {
    let head = without_mark(head);
    let head = &head[skip_blank(head, 0)..];
    if begins_request(head, 0, true, Sureness::Plain) != Some(true) {
        return false;
    }
    // A line that only looks like a request has other text after it. What is cut short may be anything.
    let Some((_, second)) = first_line(head) else { return true };
    let Some((line, _)) = first_line(second) else { return true };
    if is_field(line) {
        let (n_fields, n_others) = headers(second);
        return n_fields >= n_others;
    }
    is_blank(line) || begins_request(second, 0, true, Sureness::Plain) == Some(true)
}

/// Whether a text that does not begin as a log of requests has a request of a known method with nothing but headers below its first lines.
pub(crate) fn has_requests(head: &[u8]) -> bool {
    let mut rest = head;
    for _ in 0..MAX_LINES_BEFORE {
        let Some((_, next)) = first_line(rest) else { return false };
        rest = next;
        if begins_request(rest, 0, true, Sureness::Known) == Some(true)
            && let Some((_, second)) = first_line(rest)
            && let (1.., 0) = headers(second)
        {
            return true;
        }
    }
    false
}

/// How many lines before a blank one or another request are headers, or go on with one, and how many are not; one that is cut off does not
/// count.
fn headers(text: &[u8]) -> (usize, usize) {
    let (mut n_fields, mut n_others, mut rest) = (0, 0, text);
    while let Some((line, next)) = first_line(rest) {
        if is_blank(line) || begins_request(rest, 0, true, Sureness::Plain) == Some(true) {
            break;
        }
        let goes_on = n_fields > 0 && matches!(line.first(), Some(b' ' | b'\t'));
        let is_header = goes_on || is_field(line);
        *(if is_header { &mut n_fields } else { &mut n_others }) += 1;
        rest = next;
    }
    (n_fields, n_others)
}

/// The first line of a text, if it ends, and what is behind it.
fn first_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    memchr(b'\n', text).map(|end| (&text[..end], &text[end + 1..]))
}

/// Where the parts of a request line are.
#[derive(Debug, PartialEq, Eq)]
struct RequestLine {
    method: Range<usize>,
    target: Range<usize>,
    version: Range<usize>,
}

impl RequestLine {
    /// The parts of a line; `None` when it is no request line.
    fn of(line: &[u8]) -> Option<Self> {
        let is_space = |b: &u8| matches!(b, b' ' | b'\t');
        let line = line.trim_ascii_end();
        let method_end = line.iter().take(MAX_METHOD + 1).position(is_space)?;
        let version_start = line.iter().rposition(is_space)? + 1;
        let (method, version) = (&line[..method_end], &line[version_start..]);
        if method.is_empty() || !method.iter().all(is_token) || !is_version(version) {
            return None;
        }
        let between = &line[method_end..version_start];
        let start = method_end + between.iter().position(|b| !is_space(b))?;
        let end = method_end + between.iter().rposition(|b| !is_space(b))? + 1;
        Some(Self { method: 0..method_end, target: start..end, version: version_start..line.len() })
    }
}

/// How much a line must show to count as a request line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sureness {
    /// Its form alone: where a request must begin anyway.
    Form,
    /// Also a method and a target as clients send them: where it may be text inside a body.
    Plain,
    /// Also a method that is known: where no line begins, else a length that is too long by one would make `ET` of a `GET`.
    Known,
}

/// Whether a request line begins at a position; `None` when more of it must be seen. A line that is longer than [`LOOK_AHEAD`] is told
/// by its beginning.
fn begins_request(input: &[u8], at: usize, ended: bool, sureness: Sureness) -> Option<bool> {
    let seen = input.get(at..).unwrap_or_default();
    let window = &seen[..seen.len().min(LOOK_AHEAD)];
    let line = match memchr(b'\n', window) {
        Some(end) => &window[..end],
        None if window.len() == LOOK_AHEAD => {
            let target = window.iter().position(|&b| b == b' ').map(|end| (&window[..end], &window[end + 1..]));
            return Some(target.is_some_and(|(method, target)| {
                is_capital(method)
                    && is_rooted(target)
                    && (sureness != Sureness::Known || KNOWN_METHODS.contains(&method))
            }));
        }
        None if ended => window,
        None => {
            // What cannot become a request line needs no more bytes.
            let n_token = window.iter().take_while(|b| is_token(b)).count();
            let is_open = n_token <= MAX_METHOD && matches!(window.get(n_token), None | Some(b' ' | b'\t'));
            return if is_open && (n_token > 0 || window.is_empty()) { None } else { Some(false) };
        }
    };
    let Some(parts) = RequestLine::of(line) else { return Some(false) };
    let (method, target) = (&line[parts.method], &line[parts.target]);
    let plain = is_capital(method) && !target.contains(&b' ') || is_word(method) && is_rooted(target);
    Some(match sureness {
        Sureness::Form => true,
        Sureness::Plain => plain,
        Sureness::Known => plain && KNOWN_METHODS.contains(&method),
    })
}

/// `HTTP/1.1`, also without a minor number as in `HTTP/2`.
fn is_version(word: &[u8]) -> bool {
    let Some((name, numbers)) = word.split_at_checked(5) else { return false };
    let is_number = |digits: &[u8]| matches!(digits.len(), 1 | 2) && digits.iter().all(u8::is_ascii_digit);
    name.eq_ignore_ascii_case(b"HTTP/")
        && numbers.split(|&b| b == b'.').count() <= 2
        && numbers.split(|&b| b == b'.').all(is_number)
}

/// Characters of methods and of names of headers, by RFC 9110.
fn is_token(b: &u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b)
}

fn is_word(method: &[u8]) -> bool {
    method.first().is_some_and(u8::is_ascii_alphabetic)
        && method.len() <= MAX_METHOD
        && method.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn is_capital(method: &[u8]) -> bool {
    is_word(method) && !method.iter().any(u8::is_ascii_lowercase)
}

/// Whether a target begins as a path, as `*` or with scheme and host.
fn is_rooted(target: &[u8]) -> bool {
    matches!(target.first(), Some(b'/' | b'*')) || authority(target).is_some()
}

/// Where the host of a target with scheme and host is, without user name.
fn authority(target: &[u8]) -> Option<Range<usize>> {
    let is_scheme = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let n_scheme = target.iter().take(32).take_while(is_scheme).count();
    let rest = target[n_scheme..].strip_prefix(b"://").filter(|_| n_scheme > 0)?;
    let n_authority = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let user = rest[..n_authority].iter().rposition(|&b| b == b'@').map_or(0, |at| at + 1);
    let start = n_scheme + 3;
    Some(start + user..start + n_authority)
}

/// Whether a line is blank, its LF apart.
fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"" | b"\r")
}

/// Whether a line begins with the name of a header.
fn is_field(line: &[u8]) -> bool {
    memchr(b':', line).is_some_and(|end| end > 0 && line[..end].iter().all(is_token))
}

/// Names and values of the headers in the lines after the request line. A line that begins with a space goes on with the value before
/// it. What has no name is kept whole, under an empty one.
fn fields(lines: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    const SPACE: [char; 2] = [' ', '\t'];
    let lines = lines.split_terminator('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let mut lines = lines.peekable();
    std::iter::from_fn(move || {
        let line = lines.next()?;
        let (name, value) = match line.split_once(':') {
            Some((name, value)) if !name.is_empty() && !name.starts_with(SPACE) => (name, value.trim_matches(SPACE)),
            _ => ("", line),
        };
        let mut value = Cow::Borrowed(value);
        while let Some(more) = lines.next_if(|line| line.starts_with(SPACE)) {
            let value = value.to_mut();
            value.push(' ');
            value.push_str(more.trim_matches(SPACE));
        }
        Some((name, value))
    })
}

/// Whether a `Transfer-Encoding` says that the body comes in chunks.
fn is_chunked(coding: &str) -> bool {
    coding.rsplit(',').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("chunked"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("GET / HTTP/1.1", Some(["GET", "/", "HTTP/1.1"]))]
    #[case("GET /a b\tc HTTP/1.0\r", Some(["GET", "/a b\tc", "HTTP/1.0"]))]
    #[case("get  x\thttp/2 ", Some(["get", "x", "http/2"]))]
    #[case("M-SEARCH * HTTP/1.1", Some(["M-SEARCH", "*", "HTTP/1.1"]))]
    #[case("GET / é HTTP/1.1", Some(["GET", "/ é", "HTTP/1.1"]))]
    #[case("GET HTTP/1.1", None)]
    #[case("GET  HTTP/1.1", None)]
    #[case("GET /", None)]
    #[case("GET / HTTP/", None)]
    #[case("GET / HTTP/1.1.1", None)]
    #[case("Host: / HTTP/1.1", None)]
    #[case(" GET / HTTP/1.1", None)]
    #[case("", None)]
    fn request_lines(#[case] line: &str, #[case] expected: Option<[&str; 3]>) {
        let found = RequestLine::of(line.as_bytes());
        let found = found.map(|parts| [&line[parts.method], &line[parts.target], &line[parts.version]]);
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case(b"GET / HTTP/1.1", true)]
    #[case(b"\xef\xbb\xbf\r\n\r\nPOST http://a/b HTTP/1.1\r\nHost: a\r\n", true)]
    #[case(b"GET /a HTTP/1.1\nGET /b HTTP/1.1\n", true)]
    #[case(b"GET /a HTTP/1.1\n\n", true)]
    #[case(b"GET /a HTTP/1.1\nsome text\n", false)]
    #[case(b"get http://localhost:8080/asf-logo-wide.gif~\r\n", false)]
    #[case(b"time,request\n1,GET / HTTP/1.1\n", false)]
    #[case(b"1.2.3.4 - - \"GET / HTTP/1.1\" 200\n", false)]
    #[case(b"", false)]
    fn logs_by_their_beginning(#[case] head: &[u8], #[case] expected: bool) {
        assert_eq!(is_http(head), expected);
    }

    #[test]
    fn a_long_request_line_is_told_by_its_beginning() {
        let long =
            |start: &str| begins_request(format!("{start}{}", "A".repeat(9000)).as_bytes(), 0, false, Sureness::Plain);
        assert_eq!(long("GET /"), Some(true));
        assert_eq!(long("GET A"), Some(false));
        assert_eq!(long("Text /"), Some(false));
    }

    #[rstest]
    #[case("http://h:80/p", Some("h:80"))]
    #[case("https://me:x@h?q", Some("h"))]
    #[case("/http://h", None)]
    #[case("://h", None)]
    fn hosts_of_targets(#[case] target: &str, #[case] expected: Option<&str>) {
        assert_eq!(authority(target.as_bytes()).map(|range| &target[range]), expected);
    }
}
