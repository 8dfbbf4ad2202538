//! From bytes to records: where each ends, its cells, and what no record can be made of.

mod json;

use std::ops::Range;

use memchr::{memchr, memchr_iter};

use crate::source::broken::Search;
use crate::source::cell::Kind;
use crate::source::delimited::{self, Header, ends_amid_text, open_quote};
use crate::source::excerpt::visible;
use crate::source::http::{
    self,
    frame::{Framed, Framer, MAX_LOOK_AHEAD, skip_blank},
};
use crate::source::json::Flattener;
use crate::source::layout::Layout;
use crate::source::row::{Names, Row, Source};
use crate::source::tally::Tally;
use crate::source::zeek::{self, ZeekLayout};

const HEADER_AGAIN: &str = "it is the header again";
const FOREIGN_HEADER: &str = "the log goes on with other fields, which need a file of their own";
const FOREIGN_RECORD: &str = "it belongs to the other fields above, which need a file of their own";

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A record, whose cells are in the row.
    Record(Span),
    /// Bytes that no record can be made of.
    Rejected(Span, String),
    /// Nothing but what stands between records, up to this place.
    Nothing(usize),
    /// The record that begins here is not complete.
    Pending(usize),
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    /// Without its line end.
    pub(crate) end: usize,
    /// Where reading goes on.
    pub(crate) next: usize,
    /// Physical line it starts at, from 0 where the decoder began.
    pub(crate) line: u64,
}

/// What must be known of the text before the one at hand.
#[derive(Debug, Clone, Default)]
pub(crate) struct Before {
    /// The last header is not the layout's.
    pub(crate) is_foreign: bool,
    /// It ends within a line.
    pub(crate) is_within_line: bool,
    /// The list of events of a document has ended: what comes is what else the document says, or another document.
    pub(crate) is_after_list: bool,
    /// It ends within something broken that has been rejected.
    pub(crate) search: Option<Search>,
}

impl Before {
    /// Whether a record counts, which stands below the last header, or is one, in the layout's order or another.
    fn admit(&mut self, is_same_header: Option<bool>) -> Result<bool, String> {
        match is_same_header {
            None if self.is_foreign => Err(FOREIGN_RECORD.to_owned()),
            None => Ok(true),
            Some(is_same) => {
                self.is_foreign = !is_same;
                Err(if is_same { HEADER_AGAIN } else { FOREIGN_HEADER }.to_owned())
            }
        }
    }
}

/// Takes records off a text from its beginning on, in pieces.
///
/// What a quote or an object that does not end costs is the physical line that opens it; reading goes on at the next. The search
/// for a closing quote is shared between such lines: whether a line closes a quote that is open at its start does not depend on
/// where that quote was opened, so lines known not to are not looked at again, and the cost stays linear however many quotes
/// are left open.
#[derive(Debug)]
pub(crate) struct Decoder {
    pub(crate) names: Names,
    pub(crate) row: Row,
    pub(crate) tally: Tally,
    fields: Fields,
    terminator: u8,
    max_record_bytes: usize,
    /// Line ends passed.
    line: u64,
    /// Whether all of the text at hand is known to be UTF-8.
    is_utf8: bool,
    pub(crate) before: Before,
    /// Lines that begin here are known not to close a quote.
    searched: Range<usize>,
}

#[derive(Debug)]
enum Fields {
    Json { flattener: Flattener, in_document: bool },
    Delimited { delimiter: u8, header: Vec<String>, known: Header, columns: Vec<Option<usize>> },
    Zeek { layout: ZeekLayout, columns: Vec<Option<usize>> },
    Line { column: Option<usize> },
    Http { framer: Framer, columns: Vec<Option<usize>> },
}

impl Decoder {
    /// For records of a layout, whose columns are added to `names`; `mixed` as for [`Flattener::new`].
    pub(crate) fn new(
        layout: &Layout,
        terminator: u8,
        max_record_bytes: usize,
        mut names: Names,
        mixed: &[String],
    ) -> Self {
        let fields = match layout {
            Layout::JsonLines => Fields::Json { flattener: Flattener::new(mixed), in_document: false },
            Layout::JsonDocument => Fields::Json { flattener: Flattener::new(mixed), in_document: true },
            Layout::Delimited { delimiter, header } => Fields::Delimited {
                delimiter: *delimiter,
                columns: header.iter().map(|name| names.id(name)).collect(),
                known: Header::new(header),
                header: header.clone(),
            },
            Layout::Zeek(zeek) => Fields::Zeek { columns: columns_of(&zeek.header, &mut names), layout: zeek.clone() },
            Layout::Lines { column } => Fields::Line { column: names.id(column) },
            Layout::Http => Fields::Http {
                framer: Framer::new(max_record_bytes),
                columns: http::parse::COLUMNS.iter().map(|name| names.id(name)).collect(),
            },
        };
        Self {
            names,
            row: Row::default(),
            tally: Tally::default(),
            fields,
            terminator,
            max_record_bytes,
            line: 0,
            is_utf8: false,
            before: Before::default(),
            searched: 0..0,
        }
    }

    /// The same, with line ends passed before it begins.
    pub(crate) fn after_lines(mut self, line: u64) -> Self {
        self.line = line;
        self
    }

    /// Takes note of a new text, and of what there was before it; places in another are forgotten.
    pub(crate) fn begin(&mut self, text: Source<'_>, before: Before) {
        self.is_utf8 = text.is_utf8();
        self.before = before;
        self.searched = 0..0;
    }

    /// As [`begin`](Self::begin), of a text that goes on where it ended or was cut at its beginning.
    pub(crate) fn go_on(&mut self) {
        self.is_utf8 = false;
        self.searched = 0..0;
    }

    /// Of records that are shown one at a time.
    pub(crate) fn alone(mut self) -> Self {
        if let Fields::Http { framer, .. } = &mut self.fields {
            *framer = Framer::alone(self.max_record_bytes);
        }
        self
    }

    /// Bytes after the longest record, at most, that decide whether it ends there.
    pub(crate) fn look_ahead(&self) -> usize {
        match self.fields {
            Fields::Http { .. } => MAX_LOOK_AHEAD,
            _ => 1,
        }
    }

    /// Line ends passed since the decoder began.
    pub(crate) fn n_lines(&self) -> u64 {
        self.line
    }

    /// Names that had objects of JSON.
    pub(crate) fn objects(&self) -> Vec<String> {
        match &self.fields {
            Fields::Json { flattener, .. } => flattener.objects().map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    /// The next record of `text` from `at` on; `ended`: nothing comes after the text.
    pub(crate) fn step(&mut self, text: &[u8], at: usize, ended: bool) -> Step {
        self.row.clear();
        match self.fields {
            Fields::Json { .. } => self.json(text, at, ended),
            Fields::Http { .. } => self.request(text, at, ended),
            _ => self.line(text, at, ended),
        }
    }

    /// The next record of a text that cannot be read beyond its end, for the reason `why`; whether it is the one that was cut off
    /// there, and is rejected for that.
    pub(crate) fn step_damaged(&mut self, text: &[u8], at: usize, why: &str) -> (Step, bool) {
        let start = match self.step(text, at, false) {
            Step::Pending(start) => start,
            step => return (step, false),
        };
        // What a blank line ends is whole, though more might have followed.
        let is_whole = text.ends_with(b"\n\n") || text.ends_with(b"\n\r\n");
        match self.step(text, start, true) {
            Step::Record(span) if span.next == text.len() && !is_whole => (Step::Rejected(span, damaged(why)), true),
            Step::Rejected(span, _) if span.next == text.len() => (Step::Rejected(span, damaged(why)), true),
            step => (step, false),
        }
    }

    /// A record of a format of lines.
    fn line(&mut self, text: &[u8], at: usize, ended: bool) -> Step {
        let mut start = at;
        let (end, next) = loop {
            let Some(line) = self.physical_line(text, start, ended) else {
                return Step::Pending(start);
            };
            match line {
                (end, next) if end == start => {
                    if next == start {
                        return Step::Nothing(next);
                    }
                    self.line += 1;
                    start = next;
                }
                line => break line,
            }
        };
        let line = self.line;
        let span = Span { start, end, next, line };
        if end - start > self.max_record_bytes {
            self.line += 1;
            return Step::Rejected(span, too_long(self.max_record_bytes));
        }
        let outcome = match &self.fields {
            Fields::Delimited { delimiter, columns, known, .. } => {
                match delimited::split(text, start, end, *delimiter, columns, &mut self.row) {
                    Ok(n_fields) => check_fields(n_fields, columns.len())
                        .and_then(|_| self.before.admit(known.is_again(&text[start..end], *delimiter))),
                    Err(field) => return self.spanning(text, span, field, ended),
                }
            }
            _ => self.line_cells(text, start, end),
        };
        self.line += 1;
        match outcome {
            Ok(true) => self.finish(text, span),
            Ok(false) => Step::Nothing(next),
            Err(reason) => Step::Rejected(span, reason),
        }
    }

    /// Cells of a line of a format without quotes; whether it is a record.
    fn line_cells(&mut self, text: &[u8], start: usize, end: usize) -> Result<bool, String> {
        match &self.fields {
            Fields::Zeek { layout, columns } => {
                let line = String::from_utf8_lossy(&text[start..end]);
                match layout.split(&line, columns, &mut self.row)? {
                    zeek::Line::Event if self.before.is_foreign => Err(FOREIGN_RECORD.to_owned()),
                    zeek::Line::Event => Ok(true),
                    zeek::Line::Remark => Ok(false),
                    zeek::Line::Fields { are_same } => {
                        self.before.is_foreign = !are_same;
                        match are_same {
                            true => Ok(false),
                            false => Err(FOREIGN_HEADER.to_owned()),
                        }
                    }
                }
            }
            Fields::Line { column } => {
                if let Some(column) = column {
                    self.row.push(*column, Kind::Text, start, end);
                }
                Ok(true)
            }
            Fields::Http { columns, .. } => {
                let request = String::from_utf8_lossy(&text[start..end]);
                let row = &mut self.row;
                http::parse::parse(&request, &mut |name, value| {
                    let column = http::parse::COLUMNS.iter().position(|column| *column == name);
                    if let Some(column) = column.and_then(|i| columns[i]) {
                        let from = row.scratch.len();
                        row.scratch.push_str(&value);
                        row.close_cell(column, Kind::Text, from);
                    }
                })?;
                Ok(true)
            }
            Fields::Delimited { .. } | Fields::Json { .. } => Ok(false),
        }
    }

    /// A record of several lines: the first of them, `span`, leaves the quote of a field open.
    fn spanning(&mut self, text: &[u8], first: Span, field: usize, ended: bool) -> Step {
        let Fields::Delimited { delimiter, columns, header, .. } = &self.fields else {
            return Step::Nothing(first.next);
        };
        let (delimiter, start) = (*delimiter, first.start);
        let name = || header.get(field).map_or_else(|| (field + 1).to_string(), |name| visible(name, 60));
        let reject = |reason| Step::Rejected(first, reason);
        let mut at = first.next;
        let outcome = loop {
            if self.searched.contains(&at) {
                at = self.searched.end;
            }
            if at >= text.len() {
                // Asked in this order, so that it does not matter whether the end is known to be one.
                if at - start > self.max_record_bytes {
                    break Err(not_closed_within(&name(), self.max_record_bytes));
                }
                if !ended {
                    return Step::Pending(start);
                }
                break Err(format!("quote opened in field `{}` is never closed", name()));
            }
            let Some((end, next)) = self.physical_line(text, at, ended) else {
                return Step::Pending(start);
            };
            if end - start > self.max_record_bytes {
                break Err(not_closed_within(&name(), self.max_record_bytes));
            }
            let line = &text[at..end];
            // Else two stray quotes would take the records between them for one field.
            if ends_amid_text(line, delimiter) {
                break Err(format!("quote opened in field `{}` is never closed: text follows the next one", name()));
            }
            if open_quote(line, delimiter, true).is_none() {
                break Ok((end, next));
            }
            if self.searched.is_empty() || at != self.searched.end {
                self.searched = at..next;
            } else {
                self.searched.end = next;
            }
            at = next;
        };
        match outcome {
            Err(reason) => {
                self.line += 1;
                reject(reason)
            }
            Ok((end, next)) => {
                self.row.clear();
                let n_fields = delimited::split(text, start, end, delimiter, columns, &mut self.row);
                let checked = n_fields.map_or_else(
                    |field| Err(format!("quote opened in field `{}` is never closed", field + 1)),
                    |n_fields| check_fields(n_fields, columns.len()).and_then(|_| self.before.admit(None)),
                );
                // A stray quote has another record closed by its own, or taken into a field.
                let (end, next) = match &checked {
                    Err(_) => self
                        .sound_line(text, first.next, next)
                        .map_or((end, next), |line| (start + text[start..line].trim_ascii_end().len(), line)),
                    Ok(_) => (end, next),
                };
                let span = Span { start, end, next, line: self.line };
                self.line += n_terminators(&text[start..next], self.terminator);
                match checked {
                    Ok(_) => self.finish(text, span),
                    Err(reason) => Step::Rejected(span, reason),
                }
            }
        }
    }

    /// Where the first physical line from `at` on, before `end`, starts that is a record by itself, without a quote in it.
    fn sound_line(&self, text: &[u8], mut at: usize, end: usize) -> Option<usize> {
        let Fields::Delimited { delimiter, columns, .. } = &self.fields else { return None };
        while at < end {
            let (line_end, next) = self.physical_line(text, at, true)?;
            let line = &text[at..line_end];
            let n_fields = memchr_iter(*delimiter, line).count() + 1;
            if !line.is_empty() && n_fields == columns.len() && memchr(b'"', line).is_none() {
                return Some(at);
            }
            at = next;
        }
        None
    }

    /// End of the physical line that starts at a place, without and with its terminator; `None` when it has not come yet.
    fn physical_line(&self, text: &[u8], start: usize, ended: bool) -> Option<(usize, usize)> {
        match memchr(self.terminator, &text[start..]) {
            Some(length) => {
                let end = start + length;
                let is_crlf = self.terminator == b'\n' && text[start..end].ends_with(b"\r");
                Some((end - usize::from(is_crlf), end + 1))
            }
            None if ended => {
                let is_crlf = self.terminator == b'\n' && text[start..].ends_with(b"\r");
                Some((text.len() - usize::from(is_crlf), text.len()))
            }
            None => None,
        }
    }

    /// The record that has been taken apart; what is not UTF-8 in it becomes U+FFFD: payloads often are not, and the event counts
    /// more than its bytes.
    fn finish(&mut self, text: &[u8], span: Span) -> Step {
        if self.is_utf8 {
            return Step::Record(span);
        }
        let record = &text[span.start..span.end];
        if std::str::from_utf8(record).is_ok() {
            return Step::Record(span);
        }
        self.tally.n_lossy += 1;
        let mended = String::from_utf8_lossy(record).into_owned();
        self.row.clear();
        match &mut self.fields {
            Fields::Json { flattener, .. } => {
                let _ = flattener.flatten(mended.as_bytes(), 0, &mut self.names, &mut self.row);
            }
            Fields::Delimited { delimiter, columns, .. } => {
                let _ = delimited::split(mended.as_bytes(), 0, mended.len(), *delimiter, columns, &mut self.row);
            }
            Fields::Zeek { .. } | Fields::Line { .. } | Fields::Http { .. } => {
                let _ = self.line_cells(mended.as_bytes(), 0, mended.len());
            }
        }
        self.row.mended = mended;
        Step::Record(span)
    }

    /// A request with its body.
    fn request(&mut self, text: &[u8], at: usize, ended: bool) -> Step {
        let start = skip_blank(text, at);
        let count = |from: usize, to: usize| memchr_iter(b'\n', &text[from..to]).count() as u64;
        self.line += count(at, start);
        if start >= text.len() {
            return Step::Nothing(start);
        }
        let Fields::Http { framer, .. } = &mut self.fields else { return Step::Nothing(start) };
        let framed = framer.frame(text, start, ended);
        let line = self.line;
        match framed {
            Framed::Pending => Step::Pending(start),
            Framed::Stray { next, reason } => {
                self.line += count(start, next);
                let end = next - text[start..next].iter().rev().take_while(|b| matches!(b, b'\r' | b'\n')).count();
                Step::Rejected(Span { start, end, next, line }, reason)
            }
            Framed::Request { end, next, misdeclared } => {
                self.tally.n_misdeclared += u64::from(misdeclared);
                self.line += count(start, next);
                let span = Span { start, end, next, line };
                match self.line_cells(text, start, end) {
                    Ok(_) => self.finish(text, span),
                    Err(reason) => Step::Rejected(span, reason),
                }
            }
        }
    }
}

/// Whether a text is within a line at its end: of blanks alone, if it was before.
pub(crate) fn ends_within_line(text: &[u8], terminator: u8, was: bool) -> bool {
    let is_blank = |byte: &u8| *byte != terminator && byte.is_ascii_whitespace();
    text.iter().rev().find(|byte| !is_blank(byte)).map_or(was, |&byte| byte != terminator)
}

fn n_terminators(text: &[u8], terminator: u8) -> u64 {
    memchr_iter(terminator, text).count() as u64
}

/// Why the record is rejected at which a text cannot be read on.
pub(crate) fn damaged(why: &str) -> String {
    format!("the file cannot be read beyond this: {why}")
}

fn too_long(max_record_bytes: usize) -> String {
    format!("longer than {max_record_bytes} bytes")
}

fn not_closed_within(field: &str, max_record_bytes: usize) -> String {
    format!("quote opened in field `{field}` is not closed within {max_record_bytes} bytes")
}

fn check_fields(got: usize, expected: usize) -> Result<bool, String> {
    if got == expected { Ok(true) } else { Err(format!("expected {expected} fields, got {got}")) }
}

/// The column of each field; names that come twice are told apart.
fn columns_of(header: &[String], names: &mut Names) -> Vec<Option<usize>> {
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let (unique, _) = delimited::column_names(&header);
    unique.iter().map(|name| names.id(name)).collect()
}
