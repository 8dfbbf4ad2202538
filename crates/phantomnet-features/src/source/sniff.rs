//! The format of a text by its beginning, for files whose names do not tell.

use crate::source::Format;
use crate::source::delimited::fields_of;
use crate::source::http::{has_requests, is_http};
use crate::source::layout::{terminator_of, without_mark};
use crate::source::zeek::has_zeek;

/// What is looked at to recognize a file.
pub(crate) const HEAD_BYTES: usize = 64 * 1024;

/// Records that are compared.
const MAX_RECORDS: usize = 50;

/// Records from which on it counts that they have as many fields as each other; of fewer, the first alone tells.
const ENOUGH_RECORDS: usize = 5;

/// Format of text by its beginning, at most [`HEAD_BYTES`] of it.
///
/// Parquet, Zeek, HTTP requests and JSON are told by how they begin; JSON also by half of the lines, since an event log may begin with
/// what its sensor said when it started. Else the text is delimited by what cuts nine of ten records into the same number of fields, two
/// or more, if that makes a table ([`Head::is_table`]). Where nothing does, each line is a payload, unless the text is one line or its lines
/// are single quoted fields: then it is CSV. Of a few records, the first tells: tabs, `|` without commas, or commas.
///
/// Text between semicolons is told from payloads and is CSV here, since it has no format of its own.
pub(crate) fn sniff(head: &[u8]) -> Format {
    sniff_given(head, None)
}

/// As [`sniff`], of a text whose columns may be given: its first line is no header then.
fn sniff_given(head: &[u8], columns: Option<&[String]>) -> Format {
    // One name is that of payloads.
    let has_names = columns.is_some_and(|columns| columns.len() > 1);
    if head.starts_with(b"PAR1") {
        return Format::Parquet;
    }
    if has_zeek(head) {
        return Format::Zeek;
    }
    if is_http(head) {
        return Format::Http;
    }
    let is_cut = head.len() >= HEAD_BYTES;
    let head = without_mark(head).trim_ascii_start();
    let text = Head { text: head, terminator: if head.contains(&b'\n') { b'\n' } else { b'\r' }, is_cut, has_names };
    if begins_json(head) || text.is_mostly_objects() {
        return Format::JsonLines;
    }
    match text.separated() {
        Format::Lines if has_requests(head) => Format::Http,
        told => told,
    }
}

/// Whether a text begins with an object or an array of objects; other text in brackets, such as `{{7*7}}` and `[**]`, is no JSON.
fn begins_json(text: &[u8]) -> bool {
    let after = |text: &'_ [u8]| text.get(1..).map(<[u8]>::trim_ascii_start).and_then(|rest| rest.first().copied());
    match text.first() {
        Some(b'{') => matches!(after(text), None | Some(b'"' | b'}')),
        Some(b'[') => matches!(after(text), None | Some(b'{' | b'"' | b']')),
        _ => false,
    }
}

/// The beginning of a text.
#[derive(Debug, Clone, Copy)]
struct Head<'a> {
    text: &'a [u8],
    terminator: u8,
    /// The text goes on, so that its last line may not be whole.
    is_cut: bool,
    has_names: bool,
}

impl<'a> Head<'a> {
    /// The line that begins at a position, without its LF, or CR where there is no LF.
    fn line(self, at: usize) -> &'a [u8] {
        let rest = &self.text[at..];
        &rest[..memchr::memchr(self.terminator, rest).unwrap_or(rest.len())]
    }

    /// Whole lines that are not blank.
    fn lines(self) -> impl Iterator<Item = &'a [u8]> {
        let end = match memchr::memrchr(self.terminator, self.text) {
            Some(last) if self.is_cut => last,
            _ => self.text.len(),
        };
        self.text[..end].split(move |&b| b == self.terminator).filter(|line| !line.trim_ascii().is_empty())
    }

    /// The format of separated values, or lines.
    fn separated(self) -> Format {
        let first = self.line(0);
        let by_first = if first.contains(&b'\t') {
            Some(Format::Tsv)
        } else if first.contains(&b',') {
            Some(Format::Csv)
        } else if first.contains(&b'|') {
            Some(Format::Psv)
        } else {
            None
        };
        let n_lines = self.lines().take(ENOUGH_RECORDS).count();
        if n_lines <= 1 && by_first.is_none() {
            return Format::Csv;
        }
        if n_lines < ENOUGH_RECORDS
            && let Some(format) = by_first
        {
            return if self.is_table(format.delimiter().unwrap_or(b',')) { format } else { Format::Lines };
        }
        self.delimited().unwrap_or(if self.is_quoted() { Format::Csv } else { Format::Lines })
    }

    /// The format whose delimiter cuts the most records alike; the first of those that do equally well.
    fn delimited(self) -> Option<Format> {
        let candidates = [(b'\t', Format::Tsv), (b',', Format::Csv), (b'|', Format::Psv), (b';', Format::Csv)];
        let mut best: Option<(usize, usize, Format)> = None;
        for (delimiter, format) in candidates {
            let n_fields = self.n_fields(delimiter);
            let Some((most, n_alike)) = mode(&n_fields) else { continue };
            // Payloads that try shell commands begin with these, one or two of them each; a header names all of its columns.
            let is_header = || !self.line(0).split(|&b| b == delimiter).any(|field| field.trim_ascii().is_empty());
            let fits = most >= 2
                && n_alike * 10 >= n_fields.len() * 9
                && (matches!(delimiter, b'\t' | b',') || n_fields.first() == Some(&most) && is_header());
            // Quotes join lines, so the numbers of records differ.
            if fits && self.is_table(delimiter) && best.is_none_or(|(n, of, _)| n_alike * of > n * n_fields.len()) {
                best = Some((n_alike, n_fields.len(), format));
            }
        }
        best.map(|(_, _, format)| format)
    }

    /// Whether what a delimiter cuts looks like a table, not like text with as many commas in each line, whose first would be lost as a header:
    /// the fields of the first record are names, but for a few, or there are three or more in a record and few of all hold blanks.
    fn is_table(self, delimiter: u8) -> bool {
        if self.has_names {
            return true;
        }
        let end = self.record(0, delimiter).map_or(self.line(0).len(), |(_, end)| end);
        let first = fields_of(self.text[..end].trim_ascii_end(), delimiter);
        let n_named = first.iter().filter(|field| !field.is_empty()).count();
        let n_names = first.iter().filter(|field| is_column_name(field)).count();
        if n_names > 0 && (n_names == n_named || n_named >= 3 && 3 * n_names >= 2 * n_named) {
            return true;
        }
        let (mut n_fields, mut n_blank, mut n_records) = (0, 0, 0);
        for line in self.lines().take(MAX_RECORDS) {
            let fields = fields_of(line, delimiter);
            n_records += 1;
            n_fields += fields.len();
            n_blank += fields.iter().filter(|field| field.trim().contains(char::is_whitespace)).count();
        }
        n_fields >= 3 * n_records && 4 * n_blank < n_fields
    }

    /// Number of fields of each record, as RFC 4180 has them; a quote that is never closed is an ordinary character.
    fn n_fields(self, delimiter: u8) -> Vec<usize> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.text.len() && found.len() < MAX_RECORDS {
            let line = self.line(at);
            let line_end = (at + line.len() + 1).min(self.text.len());
            if line.trim_ascii().is_empty() {
                at = line_end;
                continue;
            }
            let (n, next) = self
                .record(at, delimiter)
                .unwrap_or_else(|| (line.iter().filter(|&&b| b == delimiter).count() + 1, line_end));
            let is_whole = !self.is_cut || next < self.text.len() || self.text.ends_with(&[self.terminator]);
            if is_whole {
                found.push(n);
            }
            at = next;
        }
        found
    }

    /// Number of fields of the record that begins at a position, and where the next one begins; `None` when a quote is never closed.
    fn record(self, at: usize, delimiter: u8) -> Option<(usize, usize)> {
        let (mut n_fields, mut inside, mut at_start) = (1, false, true);
        let mut bytes = self.text.iter().enumerate().skip(at).peekable();
        while let Some((i, &b)) = bytes.next() {
            if inside {
                if b == b'"' && bytes.next_if(|(_, b)| **b == b'"').is_none() {
                    inside = false;
                }
            } else if b == b'"' && at_start {
                inside = true;
            } else if b == self.terminator {
                return Some((n_fields, i + 1));
            } else if b == delimiter {
                n_fields += 1;
                at_start = true;
                continue;
            }
            at_start = false;
        }
        (!inside).then_some((n_fields, self.text.len()))
    }

    /// Whether half of the lines are objects of JSON, by their ends.
    fn is_mostly_objects(self) -> bool {
        let (mut n, mut n_objects) = (0, 0);
        for line in self.lines().take(MAX_RECORDS).map(<[u8]>::trim_ascii) {
            n += 1;
            let is_object =
                line.starts_with(b"{") && begins_json(line) && (line.ends_with(b"}") || line.ends_with(b"},"));
            n_objects += usize::from(is_object);
        }
        n > 1 && 2 * n_objects >= n
    }

    /// Whether nine of ten lines are one quoted field each.
    fn is_quoted(self) -> bool {
        let lines: Vec<&[u8]> = self.lines().take(MAX_RECORDS).map(<[u8]>::trim_ascii).collect();
        let n_quoted =
            lines.iter().filter(|line| line.len() > 1 && line.starts_with(b"\"") && line.ends_with(b"\"")).count();
        n_quoted * 10 >= lines.len() * 9
    }
}

/// Whether a field of a first record may be the name of a column: a few words that begin with a letter, and no sentence, time or code.
pub fn is_column_name(field: &str) -> bool {
    const MAX_CHARS: usize = 60;
    const MAX_BLANKS: usize = 4;
    let name = field.trim();
    let is_part = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_-./()%#@[]&$,|+?".contains(c);
    name.starts_with(|c: char| c.is_alphabetic() || "_#@".contains(c))
        && name.chars().all(is_part)
        && name.chars().count() <= MAX_CHARS
        && name.chars().filter(|c| c.is_whitespace()).count() <= MAX_BLANKS
}

/// As [`sniff_given`] of the first [`HEAD_BYTES`], and of what looks like payloads: separated values, if the first line has a column that
/// is looked for. One column alone looks like that.
pub(crate) fn sniff_wanted(head: &[u8], columns: Option<&[String]>, is_known: impl Fn(&str) -> bool) -> Format {
    let told = sniff_given(&head[..head.len().min(HEAD_BYTES)], columns);
    if told != Format::Lines {
        return told;
    }
    let terminator = terminator_of(head);
    let head = without_mark(head).trim_ascii_start();
    let line = head.split(|&b| b == terminator).next().unwrap_or_default().trim_ascii();
    let has_known = |format: &Format| {
        let fields = fields_of(line, format.delimiter().unwrap_or(b','));
        fields.iter().any(|field| is_known(field) || is_known(field.trim()))
    };
    [Format::Tsv, Format::Csv, Format::Psv].into_iter().find(has_known).unwrap_or(told)
}

/// The most frequent number, the smallest of several, and how often it comes.
fn mode(numbers: &[usize]) -> Option<(usize, usize)> {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    let runs = sorted.chunk_by(|a, b| a == b).map(|run| (run[0], run.len()));
    runs.reduce(|best, run| if run.1 > best.1 { run } else { best })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::path::Path;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::source::latin1::is_latin1;
    use crate::source::open::Content;
    use crate::source::{ReadOptions, expand_paths};

    #[rstest]
    #[case(b"{\"a\":1}", Format::JsonLines)]
    #[case(b"\xef\xbb\xbf\n [", Format::JsonLines)]
    #[case(b"[ {\"a\":1},\n", Format::JsonLines)]
    #[case(b"{\n  \"a\": 1\n}\n", Format::JsonLines)]
    #[case(b"sensor 1, up\n{\"a\":1,\"b\":2}\n{\"a\":1,\"b\":2}\n", Format::JsonLines)]
    #[case(b"{{7*7}}\n${{7*7}}\n{\"a\":1}\n", Format::Lines)]
    #[case(b"[**] [1:2:3] SCAN [**]\n[**] [1:2:3] SCAN [**]\n", Format::Lines)]
    #[case(b"a\tb,c\n", Format::Tsv)]
    #[case(b"a,b\nc\td", Format::Csv)]
    #[case(b"a|b\n1,5|2", Format::Psv)]
    #[case(b"a|b,c\n", Format::Csv)]
    #[case(b"", Format::Csv)]
    #[case(b"payload", Format::Csv)]
    #[case(b"PAR1\x15", Format::Parquet)]
    #[case(b"#separator \\x09\n", Format::Zeek)]
    #[case(b"#close\t2014\n#separator \\x09\n#path\tconn\n#fields\ta\n#types\tcount\n", Format::Zeek)]
    #[case(b"NULL\n\nGET /b HTTP/1.1\nHost: h\n\n", Format::Http)]
    #[case(b"st:80/x HTTP/1.1\r\nAccept: a,b\r\n\r\nGET http://l/a HTTP/1.1\r\nHost: h\r\n\r\n", Format::Http)]
    #[case(b"NULL\nGET /b HTTP/1.1\nGET /c HTTP/1.1\nGET /d HTTP/1.1\n", Format::Lines)]
    #[case(b"GET / HTTP/1.1\nHost: x\n' or 1=1\n<script>\n", Format::Lines)]
    #[case(b"ls -la\nGET / HTTP/1.1\nHost: x\n' or 1=1\n\n<script>\n", Format::Lines)]
    #[case(b"GET / HTTP/1.1\nHost: x\n folded\nno name\n\nGET / HTTP/1.1\n\n", Format::Http)]
    #[case(b"a,b\n1,\"x\n\nGET / HTTP/1.1\nHost: h\n\"\n2,y\n3,z\n4,z\n", Format::Csv)]
    #[case(b"GET / HTTP/1.1\r\nHost: a\r\n", Format::Http)]
    #[case(b"' or 1=1 --\n<script>\n", Format::Lines)]
    #[case::two_payloads(b"' UNION SELECT 1,2-- -\n' UNION SELECT 3,4-- -\n", Format::Lines)]
    #[case::one_payload(b"alert(1);x=[1,2]", Format::Lines)]
    #[case::of_python(b"2024-01-01 00:00:01,001 INFO a\n2024-01-01 00:00:02,002 INFO b\n", Format::Lines)]
    fn formats_by_their_beginning(#[case] head: &[u8], #[case] expected: Format) {
        assert_eq!(sniff(head), expected);
    }

    /// Lines that come ten times each, which is enough for their fields to count.
    #[rstest]
    #[case::commas("a,b\n1,2\n", Format::Csv)]
    #[case::quoted_commas("\"a,b\",c\n\"1,2,3\",2\n", Format::Csv)]
    #[case::quoted_line_ends("\"a\nb,,\",c\n1,2\n", Format::Csv)]
    #[case::blank_lines("a,b\n\n \n1,2\n", Format::Csv)]
    #[case::crlf("a,b\r\n1,2\r\n", Format::Csv)]
    #[case::cr("a,b\r1,2\r", Format::Csv)]
    #[case::tabs("a\tb,c\n1\t2\n", Format::Tsv)]
    #[case::decimal_commas("a\tb,c\n1\t2,5\n", Format::Tsv)]
    #[case::bars("a|b\n1,5|2\n", Format::Psv)]
    #[case::semicolons("a;b\n1;2\n", Format::Csv)]
    #[case::commas_before_bars("a|b,c\n1|2,3\n", Format::Csv)]
    #[case::quoted_lines("\"a,1\"\n\"b,c,0\"\n", Format::Csv)]
    #[case::payloads("id=1\n' or 1=1, 2 --\na|b\n", Format::Lines)]
    #[case::commands("| id\n| ls -la\n", Format::Lines)]
    #[case::more_commands("; id\n; ls -la\n", Format::Lines)]
    #[case::log_of_python("2024-01-01 00:00:01,001 INFO a\n2024-01-01 00:00:02,002 INFO b\n", Format::Lines)]
    #[case::access_log(
        "1.2.3.4 - - [01/Mar/2025:10:00:00 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"Mozilla/5.0 (KHTML, like Gecko) Chrome\"\n",
        Format::Lines
    )]
    #[case::of_kippo("2013-01-01 10:00:00+0000 [HoneyPotTransport,0,1.2.3.4] connection lost\n", Format::Lines)]
    #[case::syslog("Mar  1 10:00:00 host sshd[1]: disconnect from 1.2.3.4: 11: Bye, Bye [preauth]\n", Format::Lines)]
    #[case::payloads_with_a_comma("' UNION SELECT 1,a\n' UNION SELECT 2,b\n", Format::Lines)]
    #[case::targets("/a?x=1,2\n/b?y=3,4\n", Format::Lines)]
    #[case::targets_with_tabs("/a?x=1\t2\n", Format::Lines)]
    #[case::table("0,tcp,ftp_data,SF,491,normal\n0,udp,other,SF,146,normal\n", Format::Csv)]
    #[case::table_with_payloads("Unnamed: 0,Sentence,Label\n0,<a b c>,1\n", Format::Csv)]
    #[case::names_with_blanks("Flow ID, Source IP,Flow Bytes/s\na b,c d,e f\n", Format::Csv)]
    #[case::open_quotes("\"><script>alert(1)</script>\n\" or 1=1\nx\n", Format::Lines)]
    fn delimiters_by_the_fields_of_many_records(#[case] lines: &str, #[case] expected: Format) {
        assert_eq!(sniff(lines.repeat(10).as_bytes()), expected);
    }

    #[test]
    fn one_record_of_ten_may_differ() {
        let text = |n_ragged: usize| format!("{}{}", "a,b\n".repeat(50 - n_ragged), "a,b,c\n".repeat(n_ragged));
        assert_eq!(sniff(text(5).as_bytes()), Format::Csv);
        assert_eq!(sniff(text(6).as_bytes()), Format::Lines);
    }

    #[test]
    fn a_line_that_is_cut_by_the_end_of_the_head_does_not_count() {
        let long = format!("{},b,c\n", "a".repeat(12_000)).repeat(6);
        assert_eq!(sniff(&long.as_bytes()[..HEAD_BYTES]), Format::Csv);
    }

    /// What the README beside the data says of each file.
    #[rstest]
    #[case("aws_honeypot_marx/*", Format::Csv)]
    #[case("cic_ids2017/*", Format::Csv)]
    #[case("cowrie_2018/**/cowrie.json.*", Format::JsonLines)]
    #[case("csic2010/decoded/*", Format::Lines)]
    #[case("csic2010/raw_requests/*", Format::Http)]
    #[case("docker_api_honeypot/*.jsonl.gz", Format::JsonLines)]
    #[case("docker_api_honeypot/*.csv.gz", Format::Csv)]
    #[case("heralding_2025/*", Format::Csv)]
    #[case("http_params/*", Format::Csv)]
    #[case("iot23_zeek/*", Format::Zeek)]
    #[case("nsl_kdd/*", Format::Csv)]
    #[case("phantomnet_week6/*", Format::Csv)]
    #[case("suricata/**/*.json", Format::JsonLines)]
    #[case("tpot_2025/*", Format::JsonLines)]
    #[case("web_payloads/*", Format::Csv)]
    #[case("zeek_samples/*_tsv/*", Format::Zeek)]
    #[case("zeek_samples/*_json/*", Format::JsonLines)]
    fn real_logs_by_their_beginning_alone(#[case] pattern: &str, #[case] expected: Format) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
        if !folder.is_dir() {
            eprintln!("SKIPPED, tested on small built-in logs alone: no folder `{}`", folder.display());
            return;
        }
        let pattern = folder.join(pattern).to_str().unwrap().to_owned();
        for path in expand_paths(&[pattern]).unwrap().0 {
            let content = Content::open(&path, &ReadOptions::default(), None).unwrap();
            let mut head = Vec::new();
            content.take(HEAD_BYTES as u64).read_to_end(&mut head).unwrap();
            assert_eq!(sniff(&head), expected, "{}", path.display());
            assert!(!is_latin1(&head), "{}", path.display());
        }
    }

    proptest! {
        #[test]
        fn any_beginning_has_a_format(
            head in proptest::collection::vec(prop_oneof![proptest::sample::select(b"\",;|\t\r\n a".to_vec()), any::<u8>()], 0..200),
        ) {
            sniff(&head);
        }

        /// Quotes and fields are counted as the reader of the `csv` crate does.
        #[test]
        fn quoted_fields_are_counted_as_they_were_written(
            rows in proptest::collection::vec(proptest::collection::vec("[a,\"\n|]{1,6}", 3), 5..20),
        ) {
            let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = writer.into_inner().unwrap();
            let head = Head { text: &text, terminator: b'\n', is_cut: false, has_names: false };
            prop_assert_eq!(head.n_fields(b','), vec![3; rows.len()]);
        }
    }
}
