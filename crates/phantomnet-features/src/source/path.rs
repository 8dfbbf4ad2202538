//! From what the user names to the files that are read.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::source::Format;
use crate::source::error::SourceError;
use crate::source::excerpt::visible;
use crate::source::standard_input::STANDARD_INPUT;

/// What the name of a file says about its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    Known(Format),
    /// A log, in whatever format.
    Log,
    Unknown,
}

/// Format by extension; `.gz`, `.zst` and `.bz2` and the marks of log rotation (`.1`, `.2018-05-06`) after it do not count.
pub(crate) fn by_name(path: &Path) -> Named {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Named::Unknown;
    };
    let name = name.to_ascii_lowercase();
    let mut parts: Vec<&str> = name.split('.').skip(1).collect();
    parts.pop_if(|part| matches!(*part, "gz" | "zst" | "zstd" | "bz2"));
    while parts.pop_if(|part| part.bytes().all(|b| b.is_ascii_digit() || b == b'-') && !part.is_empty()).is_some() {}
    match parts.last().copied() {
        Some("csv") => Named::Known(Format::Csv),
        Some("psv") => Named::Known(Format::Psv),
        Some("tsv") => Named::Known(Format::Tsv),
        Some("json" | "jsonl" | "ndjson") => Named::Known(Format::JsonLines),
        Some("parquet") => Named::Known(Format::Parquet),
        // The labelled logs of IoT-23 are called `conn.log.labeled`.
        Some("log" | "labeled") => Named::Log,
        _ => Named::Unknown,
    }
}

/// The files that paths stand for, in the order of the paths and sorted by name within each.
///
/// A path is a file, a folder, whose files with the extension of a log are meant (not hidden ones, and not those in folders below it), or
/// a pattern with `*`, `?`, `[...]` or `**`. A file that is named twice comes once. Also what a person should know: a sentence for each
/// such file, and for each folder of which something is left out.
///
/// # Errors
/// When a path does not exist, or stands for no file.
pub fn expand_paths(paths: &[String]) -> Result<(Vec<PathBuf>, Vec<String>), SourceError> {
    if paths.is_empty() {
        return Err(SourceError::NoPaths);
    }
    let mut expansion = Expansion::new(false);
    let mut files = Vec::new();
    for path in paths {
        files.extend(expansion.of(path)?);
    }
    Ok((files, expansion.warnings))
}

/// Tells which files paths stand for, each once.
#[derive(Debug)]
pub(crate) struct Expansion {
    /// Whether `-` stands for standard input.
    has_input: bool,
    seen: HashSet<PathBuf>,
    /// One for each file that is named twice, and each folder of which something is left out.
    pub(crate) warnings: Vec<String>,
}

impl Expansion {
    pub(crate) fn new(has_input: bool) -> Self {
        Self { has_input, seen: HashSet::new(), warnings: Vec::new() }
    }

    /// The files that the next path stands for, without those that came before.
    ///
    /// # Errors
    /// As [`expand_paths`].
    pub(crate) fn of(&mut self, path: &str) -> Result<Vec<PathBuf>, SourceError> {
        if self.has_input && path == STANDARD_INPUT {
            return Ok(self.seen.insert(path.into()).then(|| path.into()).into_iter().collect());
        }
        let mut files = Vec::new();
        let (named, left_out) = expand_one(path)?;
        self.warnings.extend(left_out.map(|left_out| left_out.in_words(path)));
        for file in named {
            let same = file.canonicalize().map_err(|source| SourceError::Open { path: file.clone(), source })?;
            if self.seen.insert(same) {
                files.push(file);
            } else {
                self.warnings.push(format!("`{}` is named twice and read once", file.display()));
            }
        }
        Ok(files)
    }
}

/// What of a folder is left out.
struct LeftOut {
    files: Vec<String>,
    n_folders: usize,
}

impl LeftOut {
    fn in_words(&self, folder: &str) -> String {
        let mut what = Vec::new();
        if let [first, ..] = self.files.as_slice() {
            let first = visible(first, 60);
            what.push(match self.files.len() {
                1 => format!("`{first}`, which has no extension of a log"),
                n => format!("{n} files without the extension of a log, such as `{first}`"),
            });
        }
        if self.n_folders > 0 {
            what.push(format!("{} below it", if self.n_folders == 1 { "the folder" } else { "the folders" }));
        }
        let folder = folder.trim_end_matches('/');
        format!("of folder `{folder}` are left out: {}; `{folder}/**/*` names all", what.join(", and "))
    }
}

/// The files that a path stands for, and what of a folder is left out.
fn expand_one(text: &str) -> Result<(Vec<PathBuf>, Option<LeftOut>), SourceError> {
    let path = PathBuf::from(text);
    let open = |source| SourceError::Open { path: path.clone(), source };
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => {
            let (mut files, mut left_out) = (Vec::new(), LeftOut { files: Vec::new(), n_folders: 0 });
            for entry in path.read_dir().map_err(open)? {
                let entry = entry.map_err(open)?;
                let (name, file) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
                match file.metadata() {
                    _ if name.starts_with('.') => {}
                    Ok(metadata) if metadata.is_dir() => left_out.n_folders += 1,
                    Ok(metadata) if metadata.is_file() && by_name(&file) != Named::Unknown => files.push(file),
                    _ => left_out.files.push(name),
                }
            }
            if files.is_empty() {
                return Err(SourceError::NoLogs { path });
            }
            files.sort_unstable();
            left_out.files.sort_unstable();
            let is_some = !left_out.files.is_empty() || left_out.n_folders > 0;
            return Ok((files, is_some.then_some(left_out)));
        }
        Ok(_) => return Ok((vec![path], None)),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(open(error)),
        Err(_) => {}
    }
    if text.contains("://") {
        return Err(SourceError::Unsupported {
            path,
            what: "a URL other than postgres:// and sqlite://",
            advice: "fetch it first, or pipe it in: `curl -s URL | phantomnet ... -`",
        });
    }
    if !text.contains(['*', '?', '[']) {
        return Err(SourceError::NotFound { path });
    }
    // As in the shell, `*` means no hidden file: checkpoints of notebooks and the like are copies of others.
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let matches =
        glob::glob_with(text, options).map_err(|source| SourceError::Pattern { pattern: text.to_owned(), source })?;
    let mut files = Vec::new();
    for found in matches {
        let file =
            found.map_err(|error| SourceError::Open { path: error.path().to_path_buf(), source: error.into() })?;
        if file.is_file() {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(SourceError::NoMatch { pattern: text.to_owned() });
    }
    files.sort_unstable();
    Ok((files, None))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a/b.csv", Named::Known(Format::Csv))]
    #[case("B.TSV.GZ", Named::Known(Format::Tsv))]
    #[case("b.psv.bz2", Named::Known(Format::Psv))]
    #[case("x.jsonl.zst", Named::Known(Format::JsonLines))]
    #[case("cowrie.json.2018-05-06.gz", Named::Known(Format::JsonLines))]
    #[case("cowrie.json.2018-05-08", Named::Known(Format::JsonLines))]
    #[case("access.log.1", Named::Log)]
    #[case("x.parquet", Named::Known(Format::Parquet))]
    #[case("conn.log.labeled", Named::Log)]
    #[case("KDDTest+.txt", Named::Unknown)]
    #[case("csv", Named::Unknown)]
    fn formats_by_name(#[case] name: &str, #[case] expected: Named) {
        assert_eq!(by_name(Path::new(name)), expected);
    }
}
