//! A preset's TOML, taken apart. Expressions are left to be compiled.

use toml::{Table, Value};

use super::recognize::Signs;
use super::{Preset, PresetError, PresetLabel};
use crate::{ColumnType, EventSchema, Format};

/// Longest preset file, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;

const KEYS: &[&str] =
    &["name", "title", "source", "format", "group", "recognize", "fields", "observed", "claimed", "label", "features"];
const TYPES: &[&str] = &["integer", "number", "boolean", "text"];
const FORMATS: &[&str] = &["csv", "tsv", "psv", "jsonl", "zeek", "parquet"];

pub(super) fn read(text: &str) -> Result<Preset, PresetError> {
    if text.len() > MAX_BYTES {
        return Err(PresetError::TooLong { n_bytes: text.len(), limit: MAX_BYTES });
    }
    let table: Table = text.parse().map_err(|e: toml::de::Error| {
        let before = &text.as_bytes()[..e.span().map_or(0, |span| span.start.min(text.len()))];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        PresetError::Toml { line, reason: e.message().replace('\n', ", ") }
    })?;
    check_keys(&table, "", KEYS)?;
    let missing = |key, expected| move || PresetError::Missing { key, expected };
    let name = text_of(&table, "", "name")?.ok_or_else(missing("name", "a word to ask for the preset by"))?;
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b)) {
        return Err(value("name", "lower-case letters, digits, `_` and `-`", &Value::String(name)));
    }
    let title = text_of(&table, "", "title")?.ok_or_else(missing("title", "the sensor and its log, in a few words"))?;
    let format = text_of(&table, "", "format")?;
    if let Some(word) = format.as_ref().filter(|word| Format::from_name(word).is_none()) {
        return Err(word_of("format", "a format", word, FORMATS));
    }
    let fields = fields(&table)?;
    let [observed, claimed, features] = ["observed", "claimed", "features"].map(|key| expressions(&table, key));
    let (observed, claimed, features) = (observed?, claimed?, features?);
    if let Some((column, _)) = observed.iter().find(|(name, _)| claimed.iter().any(|(other, _)| other == name)) {
        return Err(PresetError::ObservedAndClaimed { column: column.clone() });
    }
    let group = text_of(&table, "", "group")?;
    if let Some(group) = &group {
        let columns: Vec<&str> =
            observed.iter().chain(&claimed).map(|(name, _)| name.as_str()).chain(fields.names()).collect();
        if !columns.contains(&group.as_str()) {
            return Err(word_of("group", "a field or a common column", group, &columns));
        }
    }
    Ok(Preset {
        name,
        title,
        source: text_of(&table, "", "source")?,
        format,
        group,
        signs: signs(&table)?,
        fields,
        observed,
        claimed,
        label: label(&table)?,
        features,
        text: text.to_owned(),
    })
}

fn fields(table: &Table) -> Result<EventSchema, PresetError> {
    let mut columns = Vec::new();
    for (name, value) in section(table, "", "fields")?.into_iter().flatten() {
        let key = format!("fields.{name}");
        let Some(word) = value.as_str() else { return Err(self::value(&key, "a type in quotes", value)) };
        let column_type = ColumnType::from_name(word)
            .ok_or_else(|| word_of(&key, "`integer`, `number`, `boolean` or `text`", word, TYPES))?;
        columns.push((name.clone(), column_type));
    }
    Ok(EventSchema::new(columns).expect("a table has no name twice"))
}

fn expressions(table: &Table, key: &str) -> Result<Vec<(String, String)>, PresetError> {
    let mut expressions = Vec::new();
    for (name, value) in section(table, "", key)?.into_iter().flatten() {
        let Some(sql) = value.as_str() else {
            return Err(self::value(&format!("{key}.{name}"), "an SQL expression in quotes", value));
        };
        expressions.push((name.clone(), sql.to_owned()));
    }
    Ok(expressions)
}

fn label(table: &Table) -> Result<Option<PresetLabel>, PresetError> {
    let Some(label) = section(table, "", "label")? else { return Ok(None) };
    check_keys(label, "label.", &["name", "expr", "positive"])?;
    let expr = text_of(label, "label.", "expr")?;
    Ok(Some(PresetLabel {
        name: text_of(label, "label.", "name")?.unwrap_or_else(|| "label".to_owned()),
        expr: expr.ok_or(PresetError::Missing { key: "label.expr", expected: "which events are attacks, in SQL" })?,
        positive: text_of(label, "label.", "positive")?,
    }))
}

fn signs(table: &Table) -> Result<Vec<Signs>, PresetError> {
    let expected = "a table, or a list of tables of which one fits";
    match table.get("recognize") {
        None => Ok(Vec::new()),
        Some(Value::Table(one)) => Ok(vec![signs_of(one)?]),
        Some(Value::Array(many)) => {
            many.iter().map(|one| signs_of(one.as_table().ok_or_else(|| value("recognize", expected, one))?)).collect()
        }
        Some(other) => Err(value("recognize", expected, other)),
    }
}

fn signs_of(recognize: &Table) -> Result<Signs, PresetError> {
    check_keys(recognize, "recognize.", &["columns", "any_of", "values"])?;
    let names = |key: &str| match recognize.get(key) {
        None => Ok(Vec::new()),
        Some(names) => texts(names).ok_or_else(|| value(&format!("recognize.{key}"), "a list of column names", names)),
    };
    let mut values = Vec::new();
    for (column, given) in section(recognize, "recognize.", "values")?.into_iter().flatten() {
        let wrong =
            || value(&format!("recognize.values.{column}"), "a glob such as `cowrie.*`, or a list of them", given);
        let globs = given.as_str().map(|one| vec![one.to_owned()]).or_else(|| texts(given)).ok_or_else(wrong)?;
        let globs: Result<Vec<glob::Pattern>, _> = globs.iter().map(|glob| glob::Pattern::new(glob)).collect();
        values.push((column.clone(), globs.map_err(|_| wrong())?));
    }
    Ok(Signs { columns: names("columns")?, any_of: names("any_of")?, values })
}

fn check_keys(table: &Table, prefix: &str, valid: &[&str]) -> Result<(), PresetError> {
    match table.keys().find(|key| !valid.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            let valid = valid.iter().map(|key| format!("{prefix}{key}")).collect();
            Err(PresetError::UnknownKey { key: format!("{prefix}{key}"), valid })
        }
    }
}

fn section<'t>(table: &'t Table, prefix: &str, key: &str) -> Result<Option<&'t Table>, PresetError> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::Table(inner)) => Ok(Some(inner)),
        Some(other) => Err(value(&format!("{prefix}{key}"), "a table", other)),
    }
}

fn text_of(table: &Table, prefix: &str, key: &str) -> Result<Option<String>, PresetError> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(value(&format!("{prefix}{key}"), "text", other)),
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

fn value(key: &str, expected: &'static str, got: &Value) -> PresetError {
    PresetError::Value { key: key.to_owned(), expected, got: got.to_string(), valid: Vec::new() }
}

fn word_of(key: &str, expected: &'static str, got: &str, valid: &[&str]) -> PresetError {
    let valid = valid.iter().map(|word| (*word).to_owned()).collect();
    PresetError::Value { key: key.to_owned(), expected, got: got.to_owned(), valid }
}
