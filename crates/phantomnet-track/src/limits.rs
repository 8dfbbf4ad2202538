//! Which keys, names and values every MLflow store accepts.
//!
//! SQLite enforces none of this and a server cuts long values without a word, so it is checked here, once for all stores.

use crate::entities::{DatasetInput, Metric, NewLoggedModel, NewRun, Param, RunStatus, Tag};
use crate::error::{Error, Result};
use crate::registry::NewModelVersion;

/// Most characters in the key of a param, metric or tag.
pub const MAX_KEY_CHARS: usize = 250;
/// Most characters in the value of a param.
pub const MAX_PARAM_CHARS: usize = 6000;
/// Most characters in the value of a tag.
pub const MAX_TAG_CHARS: usize = 8000;

/// The column has no more: MLflow itself allows 500, and fails on PostgreSQL.
const MAX_EXPERIMENT_NAME_CHARS: usize = 256;
const MAX_MODEL_NAME_CHARS: usize = 500;
const MAX_REGISTERED_NAME_CHARS: usize = 256;
const MAX_ALIAS_CHARS: usize = 255;
/// Of descriptions and tags in the registry: the columns have no more, whatever a server lets pass.
const MAX_REGISTRY_CHARS: usize = 5000;
const MAX_DATASET_NAME_CHARS: usize = 500;
const MAX_DATASET_DIGEST_CHARS: usize = 36;

/// The nearest valid key: letters, digits, `_ - . : /` and space, in the form of a normal relative path, at most
/// [`MAX_KEY_CHARS`] characters.
///
/// Any other character becomes `_`, so two keys may become one. A valid key stays as it is.
pub fn sanitize_key(key: &str) -> String {
    let clipped: String = key.chars().take(MAX_KEY_CHARS).map(|c| if is_key_char(c) { c } else { '_' }).collect();
    let parts: Vec<&str> = clipped
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| match part {
            "." => "_",
            ".." => "__",
            part => part,
        })
        .collect();
    let mut key = parts.join("/");
    if key.starts_with("..") {
        key.replace_range(..1, "_");
    }
    if key.is_empty() { "_".to_owned() } else { key }
}

/// The value itself, or its beginning with a remark on how long it was, in [`MAX_PARAM_CHARS`] characters.
pub fn clip_param(value: &str) -> String {
    clip(value, MAX_PARAM_CHARS)
}

/// The value itself, or its beginning with a remark on how long it was, in [`MAX_TAG_CHARS`] characters.
pub fn clip_tag(value: &str) -> String {
    clip(value, MAX_TAG_CHARS)
}

fn clip(value: &str, max_chars: usize) -> String {
    let n_chars = value.chars().count();
    if n_chars <= max_chars {
        return value.to_owned();
    }
    let remark = format!("… [cut, {n_chars} characters in all]");
    let mut clipped: String = value.chars().take(max_chars - remark.chars().count()).collect();
    clipped.push_str(&remark);
    clipped
}

fn is_key_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/' | ' ')
}

fn check_key(what: &'static str, key: &str) -> Result<()> {
    let n_chars = key.chars().count();
    let expected = if n_chars == 0 || n_chars > MAX_KEY_CHARS {
        format!("expected 1 to {MAX_KEY_CHARS} characters, got {n_chars}")
    } else if let Some(c) = key.chars().find(|&c| !is_key_char(c)) {
        format!("character {c:?} is not possible, expected letters, digits, `_`, `-`, `.`, `:`, `/` and space")
    } else if key.starts_with("..") || key.split('/').any(|part| matches!(part, "" | "." | "..")) {
        "expected the form of a normal relative path, without empty, `.` or `..` parts".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Invalid { what, value: key.to_owned(), expected })
}

fn check_length(what: &'static str, value: &str, min_chars: usize, max_chars: usize) -> Result<()> {
    let n_chars = value.chars().count();
    if (min_chars..=max_chars).contains(&n_chars) {
        return Ok(());
    }
    let expected = format!("expected {min_chars} to {max_chars} characters, got {n_chars}");
    Err(Error::Invalid { what, value: value.to_owned(), expected })
}

fn check_value(what: &'static str, key: &str, value: &str, max_chars: usize) -> Result<()> {
    let n_chars = value.chars().count();
    if n_chars <= max_chars {
        return Ok(());
    }
    Err(Error::ValueTooLong { what, key: key.to_owned(), n_chars, max_chars })
}

fn check_time(what: &'static str, time_ms: i64) -> Result<()> {
    if time_ms >= 0 {
        return Ok(());
    }
    let expected = "expected milliseconds since 1970, 0 or more".to_owned();
    Err(Error::Invalid { what, value: time_ms.to_string(), expected })
}

pub(crate) fn check_experiment_name(name: &str) -> Result<()> {
    check_length("experiment name", name, 1, MAX_EXPERIMENT_NAME_CHARS)
}

pub(crate) fn check_metrics(metrics: &[Metric]) -> Result<()> {
    metrics.iter().try_for_each(|metric| {
        check_key("metric key", &metric.key)?;
        check_time("metric time", metric.timestamp_ms)?;
        let Some(model) = &metric.model else { return Ok(()) };
        if model.dataset_name.is_some() != model.dataset_digest.is_some() {
            let value = model.dataset_name.as_ref().or(model.dataset_digest.as_ref()).cloned().unwrap_or_default();
            let expected = "expected both its name and its digest, or neither".to_owned();
            return Err(Error::Invalid { what: "dataset of a metric", value, expected });
        }
        check_length("dataset name", model.dataset_name.as_deref().unwrap_or_default(), 0, MAX_DATASET_NAME_CHARS)?;
        check_length("dataset digest", model.dataset_digest.as_deref().unwrap_or_default(), 0, MAX_DATASET_DIGEST_CHARS)
    })
}

pub(crate) fn check_params(params: &[Param]) -> Result<()> {
    params.iter().try_for_each(|param| {
        check_key("param key", &param.key)?;
        check_value("param", &param.key, &param.value, MAX_PARAM_CHARS)
    })
}

pub(crate) fn check_tags(tags: &[Tag]) -> Result<()> {
    tags.iter().try_for_each(|tag| {
        check_key("tag key", &tag.key)?;
        check_value("tag", &tag.key, &tag.value, MAX_TAG_CHARS)
    })
}

pub(crate) fn check_new_run(run: &NewRun) -> Result<()> {
    check_length("run name", &run.name, 1, 250)?;
    check_length("user", &run.user, 0, 256)?;
    check_time("start time", run.start_time_ms)?;
    check_tags(&run.tags)
}

pub(crate) fn check_end(status: RunStatus, end_time_ms: i64) -> Result<()> {
    if !status.is_final() {
        let expected = "expected FINISHED, FAILED or KILLED".to_owned();
        return Err(Error::Invalid { what: "final status", value: status.to_string(), expected });
    }
    check_time("end time", end_time_ms)
}

pub(crate) fn check_input(input: &DatasetInput) -> Result<()> {
    check_length("dataset name", &input.name, 1, MAX_DATASET_NAME_CHARS)?;
    check_length("dataset digest", &input.digest, 1, MAX_DATASET_DIGEST_CHARS)?;
    check_length("dataset source type", &input.source_type, 1, 36)?;
    check_length("dataset context", input.context.as_deref().unwrap_or_default(), 0, 500)
}

pub(crate) fn check_new_model(model: &NewLoggedModel) -> Result<()> {
    check_length("model name", &model.name, 1, MAX_MODEL_NAME_CHARS)?;
    if let Some(c) = model.name.chars().find(|c| "/:.%\"'".contains(*c)) {
        let expected = format!("character {c:?} is not possible");
        return Err(Error::Invalid { what: "model name", value: model.name.clone(), expected });
    }
    check_length("model type", model.model_type.as_deref().unwrap_or_default(), 0, 500)?;
    check_params(&model.params)?;
    check_tags(&model.tags)
}

/// What a run, model or version is found again by.
pub(crate) fn check_request_key(key: &str) -> Result<()> {
    check_length("key", key, 1, 400)?;
    match key.chars().find(|&c| c.is_control() || matches!(c, '\'' | '"' | '`' | '%')) {
        Some(c) => {
            let expected = format!("character {c:?} is not possible");
            Err(Error::Invalid { what: "key", value: key.to_owned(), expected })
        }
        None => Ok(()),
    }
}

pub(crate) fn check_registered_name(name: &str) -> Result<()> {
    check_length("registered model name", name, 1, MAX_REGISTERED_NAME_CHARS)?;
    let expected = if let Some(c) = name.chars().find(|&c| matches!(c, '/' | ':') || c.is_control()) {
        format!("character {c:?} is not possible")
    } else if name.trim().is_empty() || matches!(name, "." | "..") {
        "expected a name".to_owned()
    } else if name.contains('\'') && name.contains('"') {
        // What holds both cannot be written in a filter.
        "expected no more than one kind of quotes".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Invalid { what: "registered model name", value: name.to_owned(), expected })
}

pub(crate) fn check_alias(alias: &str) -> Result<()> {
    check_length("alias", alias, 1, MAX_ALIAS_CHARS)?;
    let is_version = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    let expected = if let Some(c) = alias.chars().find(|&c| !(c.is_alphanumeric() || matches!(c, '_' | '-'))) {
        format!("character {c:?} is not possible, expected letters, digits, `_` and `-`")
    } else if alias.eq_ignore_ascii_case("latest") || alias.strip_prefix(['v', 'V']).is_some_and(is_version) {
        "expected no number of a version and not `latest`, which mean something else".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Invalid { what: "alias", value: alias.to_owned(), expected })
}

pub(crate) fn check_description(description: &str) -> Result<()> {
    check_length("description", description, 0, MAX_REGISTRY_CHARS)
}

pub(crate) fn check_registry_tag(tag: &Tag) -> Result<()> {
    check_key("tag key", &tag.key)?;
    check_value("tag", &tag.key, &tag.value, MAX_REGISTRY_CHARS)
}

pub(crate) fn check_new_version(version: &NewModelVersion) -> Result<()> {
    check_registered_name(&version.name)?;
    check_description(&version.description)?;
    version.tags.iter().try_for_each(check_registry_tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("recall.attack", "recall.attack")]
    #[case("train/log loss", "train/log loss")]
    #[case("Überfall:1", "Überfall:1")]
    #[case("recall@5", "recall_5")]
    #[case("f1(macro)", "f1_macro_")]
    #[case("/a//b/", "a/b")]
    #[case("a/../b/./c", "a/__/b/_/c")]
    #[case("..a", "_.a")]
    #[case("", "_")]
    #[case("///", "_")]
    #[case("a\nb", "a_b")]
    fn keys_are_sanitized(#[case] key: &str, #[case] expected: &str) {
        assert_eq!(sanitize_key(key), expected);
        assert_eq!(check_key("key", key).is_ok(), key == expected);
    }

    #[test]
    fn long_values_are_cut_visibly() {
        assert_eq!(clip_param(&"é".repeat(6000)), "é".repeat(6000));
        let clipped = clip_param(&"é".repeat(6001));
        assert_eq!(clipped.chars().count(), 6000);
        assert!(clipped.ends_with("é… [cut, 6001 characters in all]"));
        assert_eq!(clip_tag(&"x".repeat(9000)).chars().count(), 8000);
    }

    #[test]
    fn messages_name_the_offence() {
        let error = check_key("metric key", "f1(macro)").expect_err("brackets are refused");
        assert_eq!(
            error.to_string(),
            "metric key `f1(macro)` is not valid: character '(' is not possible, expected letters, digits, `_`, `-`, \
             `.`, `:`, `/` and space"
        );
        let error = check_params(&[Param::new("p", "x".repeat(6001))]).expect_err("too long");
        assert_eq!(error.to_string(), "value of param `p` has 6001 characters, at most 6000 are possible");
    }

    #[rstest]
    #[case("ssh brute-force (v2)", true)]
    #[case("O'Neill", true)]
    #[case("", false)]
    #[case("  ", false)]
    #[case("a/b", false)]
    #[case("a:b", false)]
    #[case("..", false)]
    #[case("a\nb", false)]
    #[case("a'\"b", false)]
    fn registered_names(#[case] name: &str, #[case] is_valid: bool) {
        assert_eq!(check_registered_name(name).is_ok(), is_valid);
    }

    #[rstest]
    #[case("champion", true)]
    #[case("prod-2_eu", true)]
    #[case("v", true)]
    #[case("v2x", true)]
    #[case("", false)]
    #[case("v2", false)]
    #[case("V10", false)]
    #[case("latest", false)]
    #[case("Latest", false)]
    #[case("a b", false)]
    #[case("a@b", false)]
    fn aliases(#[case] alias: &str, #[case] is_valid: bool) {
        assert_eq!(check_alias(alias).is_ok(), is_valid);
    }

    proptest! {
        #[test]
        fn a_sanitized_key_is_valid_and_stays(key in "([a-z./@ ]|\\PC|\n){0,300}") {
            let sanitized = sanitize_key(&key);
            prop_assert!(check_key("key", &sanitized).is_ok(), "{sanitized:?}");
            prop_assert_eq!(sanitize_key(&sanitized), sanitized.clone());
            if check_key("key", &key).is_ok() {
                prop_assert_eq!(sanitized, key);
            }
        }
    }
}
