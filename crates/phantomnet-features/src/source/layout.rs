//! How the records of a source are laid out, told from its beginning.

use memchr::{memchr, memrchr};

use crate::events::{ColumnType, EventSchema};
use crate::source::decode::{Decoder, Step};
use crate::source::delimited::{column_names, fields_of};
use crate::source::excerpt::visible;
use crate::source::json::{self, JsonError, Member, Members};
use crate::source::row::{MAX_COLUMNS, Names};
use crate::source::tally::Tally;
use crate::source::zeek::{self, ZeekLayout};
use crate::source::{Format, ReadOptions};

/// Repeated column names that are told one by one.
const SHOWN_REPEATED: usize = 5;

/// The column of a format without names.
const PAYLOAD: &str = "payload";

/// Keys under which documents hold their events, beside other keys.
const EVENT_KEYS: &[&str] =
    &["alerts", "attacks", "data", "entries", "events", "hits", "items", "logs", "records", "results"];

/// Levels below a document's outermost object at which its events are looked for; a bound on what hostile nesting can cost.
const MAX_EVENTS_DEPTH: usize = 4;

/// Beginning of JSON after which its layout is told, whether its first object has ended or not.
pub(crate) const ENOUGH_JSON: usize = 64 * 1024;

/// How the records of a source are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// JSON objects, one a line or several, also as elements of an array.
    JsonLines,
    /// JSON objects spread over lines, or in an array inside of another object.
    JsonDocument,
    /// Fields between delimiters, quoted as RFC 4180 has it.
    Delimited {
        /// A comma, a tab or `|`.
        delimiter: u8,
        /// Name of each field; an empty one is called `column_<position>`, a repeated one gets `_2`, `_3`, ...
        header: Vec<String>,
    },
    /// Zeek's own format.
    Zeek(ZeekLayout),
    /// One payload a line.
    Lines {
        /// Its name.
        column: String,
    },
    /// Raw HTTP requests.
    Http,
}

impl Layout {
    /// Names of the fields; none for JSON, whose records name theirs.
    pub fn header(&self) -> &[String] {
        match self {
            Self::JsonLines | Self::JsonDocument | Self::Http => &[],
            Self::Delimited { header, .. } => header,
            Self::Zeek(zeek) => &zeek.header,
            Self::Lines { column } => std::slice::from_ref(column),
        }
    }

    /// Whether records often reach over the end of a line, so that a text cannot be cut there.
    pub(crate) fn spans_lines(&self) -> bool {
        matches!(self, Self::JsonDocument | Self::Http)
    }
}

/// A layout, and where the records begin.
#[derive(Debug, Clone)]
pub(crate) struct Begun {
    pub(crate) layout: Layout,
    /// Bytes before the first record.
    pub(crate) start: usize,
    /// Names that had to be changed, for people.
    pub(crate) warnings: Vec<String>,
}

impl Begun {
    /// Whether the records are those of a list in a document, which has a place to end.
    pub(crate) fn is_in_list(&self) -> bool {
        self.layout == Layout::JsonDocument && self.start > 0
    }
}

/// What is said of a list of events that does not end.
pub(crate) const OPEN_LIST: &str = "its list of events does not end: it is cut off, or an event holds those behind it";

/// Why a source has no layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoLayout {
    /// There is nothing in it.
    Empty,
    /// Its header is broken.
    Header(String),
    /// More of it must be known.
    Pending,
}

/// The columns that are looked for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) is_known: &'a dyn Fn(&str) -> bool,
    /// Payloads are all that is known.
    pub(crate) only_payloads: bool,
}

impl Wanted<'_> {
    /// Whether payloads are all that is known of the columns of a schema.
    pub(crate) fn only_payloads_of(schema: &EventSchema) -> bool {
        schema.columns() == [(PAYLOAD.to_owned(), ColumnType::Text)]
    }

    /// Whether a text of which a format was told, not given, is one of payloads: of the first that arrives, or of a few with commas,
    /// nothing but what is looked for can tell. `None`: its first line must be known.
    fn is_payloads(self, text: &[u8], ended: bool, format: Format, terminator: u8) -> Option<bool> {
        if !self.only_payloads || !matches!(format, Format::Csv | Format::Tsv | Format::Psv | Format::JsonLines) {
            return Some(false);
        }
        let text = text.trim_ascii_start();
        let end = memchr(terminator, text).or(ended.then_some(text.len()))?;
        let line = &text[..end];
        // An object may go on in the next line.
        let is_whole = format != Format::JsonLines || json::skip(line, 0, 1).is_ok();
        // A header has the name, and so has an object.
        Some(is_whole && memchr::memmem::find(line, PAYLOAD.as_bytes()).is_none())
    }
}

/// Tells the layout from the beginning of a text, which is all of it if it `ended`. A header is read unless names are given; a name
/// that is known but for blanks around it is read as that.
pub(crate) fn read_layout(
    text: &[u8],
    ended: bool,
    format: Format,
    terminator: u8,
    options: &ReadOptions,
    wanted: Wanted<'_>,
) -> Result<Begun, NoLayout> {
    let skipped = text.iter().take_while(|b| b.is_ascii_whitespace()).count();
    if skipped == text.len() {
        return Err(if ended { NoLayout::Empty } else { NoLayout::Pending });
    }
    let columns = options.columns.as_deref();
    let whole = |layout| Ok(Begun { layout, start: 0, warnings: Vec::new() });
    if options.format.is_none()
        && columns.is_none()
        && wanted.is_payloads(text, ended, format, terminator).ok_or(NoLayout::Pending)?
    {
        let warnings =
            vec![format!("no `{PAYLOAD}` is on its first line: each line is read as one; `format` says otherwise")];
        return Ok(Begun { layout: Layout::Lines { column: PAYLOAD.to_owned() }, start: 0, warnings });
    }
    match format {
        Format::Zeek => {
            let (zeek, start) = zeek::read_header(text, terminator, ended)?;
            Ok(Begun { layout: Layout::Zeek(zeek), start, warnings: Vec::new() })
        }
        Format::JsonLines => {
            let (layout, start) = json_layout(text, skipped, ended).ok_or(NoLayout::Pending)?;
            let mut tally = Tally::default();
            lists_before(text, skipped, start).for_each(|name| tally.add_list(name));
            let mut warnings = tally.remarks(format);
            warnings.extend(told_beside(text, skipped, start));
            Ok(Begun { layout, start, warnings })
        }
        Format::Lines => {
            let column = columns.and_then(<[String]>::first).map_or(PAYLOAD, String::as_str).to_owned();
            whole(Layout::Lines { column })
        }
        Format::Http => whole(Layout::Http),
        Format::Csv | Format::Tsv | Format::Psv | Format::Parquet | Format::Database => {
            let delimiter = format.delimiter().unwrap_or(b',');
            let (header, start) = match columns {
                Some(columns) => (columns.to_vec(), 0),
                None => read_names(text, delimiter, terminator, ended, options.max_line_bytes)?,
            };
            delimited(delimiter, &header, start, wanted.is_known)
        }
    }
}

/// The fields of the first record, and where the second begins.
fn read_names(
    text: &[u8],
    delimiter: u8,
    terminator: u8,
    ended: bool,
    max_record_bytes: usize,
) -> Result<(Vec<String>, usize), NoLayout> {
    // The decoder finds the end of the record; how many fields it has is not known to it yet.
    let layout = Layout::Delimited { delimiter, header: Vec::new() };
    let names = Names::new(Vec::new(), false);
    let mut decoder = Decoder::new(&layout, terminator, max_record_bytes, names, &[]);
    let span = match decoder.step(text, 0, ended) {
        Step::Rejected(_, reason) if !reason.starts_with("expected") => return Err(NoLayout::Header(reason)),
        Step::Record(span) | Step::Rejected(span, _) => span,
        Step::Nothing(_) => return Err(NoLayout::Empty),
        Step::Pending(_) => return Err(NoLayout::Pending),
    };
    Ok((fields_of(&text[span.start..span.end], delimiter), span.next))
}

fn delimited(delimiter: u8, header: &[String], start: usize, known: &dyn Fn(&str) -> bool) -> Result<Begun, NoLayout> {
    if header.len() > MAX_COLUMNS {
        return Err(NoLayout::Header(format!("it has {} columns; at most {MAX_COLUMNS} are read", header.len())));
    }
    let trimmed = |name: &&str| !known(name) && known(name.trim());
    let n_trimmed = header.iter().map(String::as_str).filter(trimmed).count();
    let fields = header.iter().map(String::as_str).map(|name| if trimmed(&name) { name.trim() } else { name });
    let (header, renamed) = column_names(&fields.collect::<Vec<_>>());
    let mut warnings = Vec::new();
    if n_trimmed > 0 {
        let n = header.len();
        warnings.push(format!("{n_trimmed} of {n} names of the header are read without the blanks around them"));
    }
    if let [name] = header.as_slice()
        && name.contains(';')
    {
        let name = visible(name, 60);
        warnings.push(format!("the header is one name, `{name}`: fields between semicolons are not taken apart"));
    }
    warnings.extend(told_renamed("the header", &renamed));
    Ok(Begun { layout: Layout::Delimited { delimiter, header }, start, warnings })
}

/// Tells, of some source, which columns are not read under their names, but as what [`column_names`] made of those.
pub(crate) fn told_renamed(source: &str, renamed: &[(String, String)]) -> Vec<String> {
    let told = renamed.iter().take(SHOWN_REPEATED).map(|(name, new)| {
        let (name, new) = (visible(name, 60), visible(new, 60));
        format!("{source} has more than one column `{name}`; one of them is read as `{new}`")
    });
    let n_more = renamed.len().saturating_sub(SHOWN_REPEATED);
    let more = (n_more > 0).then(|| format!("{n_more} more columns of {source} repeat a name"));
    told.chain(more).collect()
}

/// Layout of JSON whose first value stands at `at`, and where its records begin; `None` when more of it must be known.
fn json_layout(text: &[u8], at: usize, ended: bool) -> Option<(Layout, usize)> {
    let may_wait = !ended && text.len() < ENOUGH_JSON;
    let at = match text[at] {
        b'[' => json::blanks(text, at + 1),
        _ => at,
    };
    if at == text.len() && may_wait {
        return None;
    }
    let line_end = memchr(b'\n', &text[at.min(text.len())..]).map_or(text.len(), |i| at + i);
    if text.get(at) != Some(&b'{') {
        return Some((Layout::JsonLines, 0));
    }
    let object = json::skip(text, at, 1);
    let is_alone = object.as_ref().is_ok_and(|&end| json::blanks(text, end) == text.len());
    let around = match object {
        // One object, and nothing else: a document if it holds events, else an event.
        Ok(_) if is_alone => true,
        // Several: each must begin with its events.
        Ok(end) => {
            let next = json::blanks(text, end);
            let is_document = |at: usize| text.get(at) == Some(&b'{') && begins_with_events(text, at);
            let may_become = may_wait && json::skip(text, next, 1) == Err(JsonError::Incomplete);
            if is_document(at) && !is_document(next) && may_become {
                return None;
            }
            is_document(at) && is_document(next)
        }
        // One of its events may be what is broken.
        Err(_) => true,
    };
    if around && let Some(start) = events_in(text, at) {
        // Whether more objects follow, only what has not arrived yet can tell.
        return if is_alone && may_wait { None } else { Some((Layout::JsonDocument, start)) };
    }
    match object {
        Ok(end) if end <= line_end => Some((Layout::JsonLines, 0)),
        // The array of events may come yet.
        Err(JsonError::Incomplete) if may_wait => None,
        // An object that goes on with a name on the next line is spread; one that is cut off is not.
        Ok(_) => Some((Layout::JsonDocument, 0)),
        Err(JsonError::Incomplete) if line_end < text.len() => Some((Layout::JsonDocument, 0)),
        _ => Some((Layout::JsonLines, 0)),
    }
}

/// The place after the `[` of the array of objects that an object has under a name that says so, or as all it has. An array without
/// objects counts under such a name, if it is all there is, or if the object is one of such a name itself.
pub(crate) fn events_in(text: &[u8], at: usize) -> Option<usize> {
    events_within(text, at, 0)
}

/// As [`events_in`], of an object so many levels within the outermost.
fn events_within(text: &[u8], at: usize, depth: usize) -> Option<usize> {
    if depth > MAX_EVENTS_DEPTH {
        return None;
    }
    for (i, member) in Members::of(text, at).enumerate() {
        let value = member.value;
        if member.begins(text, b'[') {
            let element = json::blanks(text, value + 1);
            let is_only = || match json::skip(text, value, 1) {
                Ok(end) => i == 0 && text.get(json::blanks(text, end)) == Some(&b'}'),
                Err(_) => i == 0,
            };
            let has_events = match text.get(element) {
                Some(b'{') => is_event_key(member.name) || is_only(),
                Some(b']') => is_event_key(member.name) && (depth > 0 || is_only()),
                _ => false,
            };
            if has_events {
                return Some(value + 1);
            }
        }
        // `hits` of a search engine holds the array one level below.
        if member.begins(text, b'{')
            && is_event_key(member.name)
            && let Some(start) = events_within(text, value, depth + 1)
        {
            return Some(start);
        }
        if let Some(answer) = answer_at(text, &member) {
            return events_within(text, answer, depth + 1);
        }
    }
    None
}

/// Where a search engine's answer begins that a member holds: the first to several questions, one as Kibana shows it, or one that was
/// waited for.
fn answer_at(text: &[u8], member: &Member<'_>) -> Option<usize> {
    let answer = match member.name {
        b"responses" if member.begins(text, b'[') => json::blanks(text, member.value + 1),
        b"rawResponse" | b"response" => member.value,
        _ => return None,
    };
    (text.get(answer) == Some(&b'{') && is_answer(text, answer)).then_some(answer)
}

/// Whether an object begins with an array of objects under a name that says so, or is what a search engine answers.
fn begins_with_events(text: &[u8], at: usize) -> bool {
    let first = Members::of(text, at).next();
    first.is_some_and(|first| is_event_key(first.name) && is_list(text, &first))
        || is_answer(text, at)
        || answer_within(text, at)
}

/// Whether an object has a search engine's answer in a member.
fn answer_within(text: &[u8], at: usize) -> bool {
    Members::of(text, at).any(|member| answer_at(text, &member).is_some())
}

/// Whether an object is what a search engine answers to one question.
fn is_answer(text: &[u8], at: usize) -> bool {
    let hits = Members::of(text, at).find(|member| member.name == b"hits" && member.begins(text, b'{'));
    hits.is_some_and(|hits| events_within(text, hits.value, 1).is_some())
}

/// Whether a member holds a list of objects.
pub(crate) fn is_list(text: &[u8], member: &Member<'_>) -> bool {
    member.begins(text, b'[') && text.get(json::blanks(text, member.value + 1)) == Some(&b'{')
}

/// Names of the lists of objects that a document has before that of its events, which begins after `events`.
pub(crate) fn lists_before(text: &[u8], object: usize, events: usize) -> impl Iterator<Item = &[u8]> {
    let members = members_before(text, object, events).into_iter();
    members.filter(|member| is_list(text, member)).map(|member| member.name)
}

/// The members of a document before the one in which its events begin.
fn members_before(text: &[u8], object: usize, events: usize) -> Vec<Member<'_>> {
    let mut members: Vec<_> = Members::of(&text[..events], object).collect();
    members.pop();
    members
}

/// Tells of what a document says before its events, which may be an event itself; search engines' answers say how they were found.
fn told_beside(text: &[u8], object: usize, events: usize) -> Option<String> {
    if is_answer(text, object) || answer_within(text, object) {
        return None;
    }
    let names: Vec<String> = members_before(text, object, events)
        .iter()
        .filter(|member| !is_list(text, member))
        .map(|member| format!("`{}`", visible(&String::from_utf8_lossy(member.name), 60)))
        .take(SHOWN_REPEATED + 1)
        .collect();
    let shown = names[..names.len().min(SHOWN_REPEATED)].join(", ");
    let more = if names.len() > SHOWN_REPEATED { ", ..." } else { "" };
    (!names.is_empty())
        .then(|| format!("its events are the objects of a list; what it says beside them is not read: {shown}{more}"))
}

fn is_event_key(name: &[u8]) -> bool {
    EVENT_KEYS.iter().any(|key| name.eq_ignore_ascii_case(key.as_bytes()))
}

/// The byte order mark of UTF-8.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A text without the byte order mark that it may begin with.
pub(crate) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// CR where a text has no LF at its beginning, else LF.
pub(crate) fn terminator_of(head: &[u8]) -> u8 {
    let bare_cr = memchr(b'\n', head).is_none() && memrchr(b'\r', head).is_some();
    if bare_cr { b'\r' } else { b'\n' }
}
