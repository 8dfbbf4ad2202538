//! The columns of a request.

use std::borrow::Cow;

use crate::source::http::{RequestLine, authority, fields, is_chunked};

/// The columns of requests.
///
/// - `method`, `target` and `version` are as sent.
/// - `path` and `query` are the target before and after its first `?`, without scheme and host.
/// - `host` is the header's, else that of the target.
/// - `user_agent`, `content_type`, `content_length`, `cookie` and `referer` are headers as sent. Of one that is repeated, all values are
///   joined by `, ` (cookies by `; `).
/// - `headers` has all of them in order as a JSON list of pairs `[name, value]`. A line without a name is kept whole under an empty one.
/// - `body` is what the application sees: chunks are put together, unless there is more to them than sizes and data, or they are no UTF-8.
///   A body that is declared to be of length 0 is empty, one that is not there is missing.
/// - `payload` is what carries most attacks in one text: path and query as sent, and after a line end the body. Headers are apart, since most
///   of their text tells clients from each other, not attacks from the rest.
pub(crate) const COLUMNS: [&str; 14] = [
    "method",
    "target",
    "path",
    "query",
    "version",
    "host",
    "user_agent",
    "content_type",
    "content_length",
    "cookie",
    "referer",
    "headers",
    "body",
    "payload",
];

/// Takes a whole request apart, and gives each column that is not missing, in the order of [`COLUMNS`].
///
/// # Errors
/// The reason, when it does not begin with a request line.
pub(crate) fn parse<'a>(request: &'a str, cell: &mut dyn FnMut(&'static str, Cow<'a, str>)) -> Result<(), String> {
    let (line, rest) = request.split_once('\n').unwrap_or((request, ""));
    let parts = RequestLine::of(line.as_bytes()).ok_or("expected a request line `METHOD target HTTP/x.y`")?;
    let (method, target) = (&line[parts.method], &line[parts.target]);
    let (lines, body) = split_head(rest);
    let headers: Vec<(&str, Cow<'_, str>)> = fields(lines).collect();
    let value = |wanted: &str, between: &str| joined(&headers, wanted, between);
    let content_length = value("content-length", ", ");
    let body = match body {
        "" => content_length.as_deref().filter(|length| length.trim() == "0").map(|_| Cow::Borrowed("")),
        body => {
            let coding = value("transfer-encoding", ", ");
            let whole = coding.filter(|coding| is_chunked(coding)).and_then(|_| unchunked(body));
            Some(whole.map_or(Cow::Borrowed(body), Cow::Owned))
        }
    };
    let host = authority(target.as_bytes());
    let local = host.as_ref().map_or(target, |host| &target[host.end..]);
    let (path, query) = local.split_once('?').map_or((local, None), |(path, query)| (path, Some(query)));
    let path = if path.is_empty() { "/" } else { path };
    let host = host.map(|host| &target[host]).or((method == "CONNECT").then_some(target));
    let payload = match &body {
        Some(body) if !body.is_empty() => Cow::Owned(format!("{local}\n{body}")),
        _ => Cow::Borrowed(local),
    };
    // Text under any names is written as JSON.
    let as_json = serde_json::to_string(&headers).map_err(|error| error.to_string())?;

    cell("method", method.into());
    cell("target", target.into());
    cell("path", path.into());
    let mut cell_if = |name, value: Option<Cow<'a, str>>| {
        if let Some(value) = value {
            cell(name, value);
        }
    };
    cell_if("query", query.map(Cow::Borrowed));
    cell_if("version", Some(line[parts.version].into()));
    cell_if("host", value("host", ", ").or(host.map(Cow::Borrowed)));
    cell_if("user_agent", value("user-agent", ", "));
    cell_if("content_type", value("content-type", ", "));
    cell_if("content_length", content_length);
    cell_if("cookie", value("cookie", "; "));
    cell_if("referer", value("referer", ", "));
    cell_if("headers", Some(as_json.into()));
    cell_if("body", body);
    cell_if("payload", Some(payload));
    Ok(())
}

/// The lines before the first blank line and the text after it.
fn split_head(rest: &str) -> (&str, &str) {
    let mut at = 0;
    while at < rest.len() {
        match &rest.as_bytes()[at..] {
            [b'\n', ..] => return (&rest[..at], &rest[at + 1..]),
            [b'\r', b'\n', ..] => return (&rest[..at], &rest[at + 2..]),
            line => at += memchr::memchr(b'\n', line).map_or(line.len(), |end| end + 1),
        }
    }
    (rest, "")
}

/// The values of all headers of a name.
fn joined<'a>(headers: &[(&'a str, Cow<'a, str>)], wanted: &str, between: &str) -> Option<Cow<'a, str>> {
    let mut values =
        headers.iter().filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
    let mut all = values.next()?.clone();
    for value in values {
        let all = all.to_mut();
        all.push_str(between);
        all.push_str(value);
    }
    Some(all)
}

/// The data of a body in chunks; `None` when there is anything else in it, which would be lost.
fn unchunked(body: &str) -> Option<String> {
    let mut whole = String::new();
    let mut rest = body;
    loop {
        let (size, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let size = size.strip_suffix('\r').unwrap_or(size);
        // `+1` would parse.
        let size = usize::from_str_radix(size, 16).ok().filter(|_| !size.starts_with('+'))?;
        if size == 0 {
            return after.bytes().all(|b| matches!(b, b'\r' | b'\n')).then_some(whole);
        }
        let (data, after) = after.split_at_checked(size)?;
        whole.push_str(data);
        rest = after.strip_prefix("\r\n").or_else(|| after.strip_prefix('\n'))?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn cells(request: &str) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        parse(request, &mut |name, value| found.push((name, value.into_owned()))).unwrap();
        found
    }

    fn column(request: &str, wanted: &str) -> Option<String> {
        cells(request).into_iter().find(|(name, _)| *name == wanted).map(|(_, value)| value)
    }

    #[test]
    fn the_columns_of_a_request() {
        let request = "POST http://shop:8080/a/b.jsp?id=1?2 HTTP/1.1\r\nUser-Agent: x\r\nHOST:  h:80 \r\nCookie: a=1\r\ncookie: b=2\r\n\
                       Content-type: text/plain\r\nReferer:\r\nContent-Length: 5\r\n\r\nx=1\r\n";
        let expected = [
            ("method", "POST"),
            ("target", "http://shop:8080/a/b.jsp?id=1?2"),
            ("path", "/a/b.jsp"),
            ("query", "id=1?2"),
            ("version", "HTTP/1.1"),
            ("host", "h:80"),
            ("user_agent", "x"),
            ("content_type", "text/plain"),
            ("content_length", "5"),
            ("cookie", "a=1; b=2"),
            ("referer", ""),
            (
                "headers",
                r#"[["User-Agent","x"],["HOST","h:80"],["Cookie","a=1"],["cookie","b=2"],["Content-type","text/plain"],["Referer",""],["Content-Length","5"]]"#,
            ),
            ("body", "x=1\r\n"),
            ("payload", "/a/b.jsp?id=1?2\nx=1\r\n"),
        ];
        assert_eq!(cells(request), expected.map(|(name, value)| (name, value.to_owned())));
        assert_eq!(expected.map(|(name, _)| name), COLUMNS);
    }

    #[rstest]
    #[case::path_alone("GET /a HTTP/1.1", "query", None)]
    #[case::empty_query("GET /a? HTTP/1.1", "query", Some(""))]
    #[case::spaces("GET /a?b c HTTP/1.1", "query", Some("b c"))]
    #[case::no_path("GET http://h?x HTTP/1.1", "path", Some("/"))]
    #[case::no_path("GET http://h?x HTTP/1.1", "payload", Some("?x"))]
    #[case::host_of_the_target("GET http://me@h:1/ HTTP/1.1", "host", Some("h:1"))]
    #[case::host_of_a_tunnel("CONNECT h:443 HTTP/1.1", "host", Some("h:443"))]
    #[case::no_host("GET / HTTP/1.1", "host", None)]
    #[case::several_hosts("GET / HTTP/1.1\nHost: a\nHost: b", "host", Some("a, b"))]
    #[case::no_headers("GET / HTTP/1.1", "headers", Some("[]"))]
    #[case::folded("GET / HTTP/1.1\nX-A: b\r\n\t c\n\td", "headers", Some(r#"[["X-A","b c d"]]"#))]
    #[case::folded("GET / HTTP/1.1\nCookie:\n a=1", "cookie", Some(" a=1"))]
    #[case::nameless("GET / HTTP/1.1\nno colon\n: x\n", "headers", Some(r#"[["","no colon"],["",": x"]]"#))]
    #[case::folded_first("GET / HTTP/1.1\n x: y", "headers", Some(r#"[[""," x: y"]]"#))]
    #[case::space_before_colon("GET / HTTP/1.1\nHost : a", "host", Some("a"))]
    #[case::space_before_colon("GET / HTTP/1.1\nHost : a", "headers", Some(r#"[["Host ","a"]]"#))]
    #[case::no_body("GET / HTTP/1.1\nHost: a\n\n", "body", None)]
    #[case::declared_empty("GET / HTTP/1.1\nContent-Length: 0", "body", Some(""))]
    #[case::declared_empty("GET / HTTP/1.1\nContent-Length: 0", "payload", Some("/"))]
    #[case::body_after_no_headers("GET / HTTP/1.1\n\nab", "body", Some("ab"))]
    #[case::blank_lines_in_the_body("GET / HTTP/1.1\nA: b\n\na\n\nb", "body", Some("a\n\nb"))]
    #[case::chunks(
        "POST / HTTP/1.1\nTransfer-Encoding: gzip, Chunked\n\n3\r\na\nb\r\n1\nc\n0\r\n\r\n",
        "body",
        Some("a\nbc")
    )]
    #[case::chunks("POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n3\nUNI\n2\nON\n0", "payload", Some("/\nUNION"))]
    #[case::chunk_extension(
        "POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n1;x\na\n0\n\n",
        "body",
        Some("1;x\na\n0\n\n")
    )]
    #[case::trailer(
        "POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n1\na\n0\nA: b\n\n",
        "body",
        Some("1\na\n0\nA: b\n\n")
    )]
    #[case::no_chunks("POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n+1\na\n0\n", "body", Some("+1\na\n0\n"))]
    #[case::not_in_chunks("POST / HTTP/1.1\nTransfer-Encoding: chunked, x\n\n1\na\n0\n", "body", Some("1\na\n0\n"))]
    #[case::chunk_ends_in_a_character(
        "POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n1\n\u{fffd}\n0\n",
        "body",
        Some("1\n\u{fffd}\n0\n")
    )]
    fn single_columns(#[case] request: &str, #[case] name: &str, #[case] expected: Option<&str>) {
        assert_eq!(column(request, name).as_deref(), expected);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let reason = parse("hello\n", &mut |_, _| panic!("no cell")).unwrap_err();
        assert_eq!(reason, "expected a request line `METHOD target HTTP/x.y`");
    }

    proptest! {
        #[test]
        fn cells_come_in_the_order_of_the_columns_and_lose_no_header(
            headers in "([A-Za-z: \t\r\n\"\\\\é]|: ){0,60}",
            body in "\\PC{0,20}",
        ) {
            let found = cells(&format!("GET /x HTTP/1.1\r\n{headers}\r\n\r\n{body}"));
            let order: Vec<_> = found.iter().map(|(name, _)| COLUMNS.iter().position(|column| column == name).unwrap()).collect();
            prop_assert!(order.is_sorted_by(|a, b| a < b));
            let text = |wanted: &str| found.iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| value);
            let pairs: Vec<(String, String)> = serde_json::from_str(text("headers")).unwrap();
            let kept: String = pairs.iter().flat_map(|(name, value)| [name.as_str(), value]).chain([text("body")]).collect();
            let solid = |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != ':').collect::<String>();
            prop_assert_eq!(solid(&kept), solid(&format!("{headers}{body}")));
        }
    }
}
