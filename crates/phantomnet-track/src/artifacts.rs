//! Artifact files of runs and models, wherever they are.
//!
//! A [`Place`] does what is particular to a kind of location; what is built upon that is here. A file on this machine is written under
//! another name and then renamed into place.

mod folder;
#[cfg(feature = "s3")]
mod s3;
#[cfg(not(feature = "s3"))]
#[path = "artifacts/without_s3.rs"]
mod s3;
mod s3_options;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::entities::ArtifactEntry;
use crate::error::{Error, Result};
use crate::names;

pub(crate) use folder::{Folder, local_folder};
pub(crate) use s3::ObjectStores;
pub use s3_options::{S3Addressing, S3Credentials, S3Options};

/// Where the artifacts of a run or model are. Paths are those that [`check_path`] takes.
pub(crate) trait Place {
    /// What to call it in a message.
    fn location(&self) -> String;

    /// The folder of this machine that it is, if it is one.
    fn local_folder(&self) -> Option<&Path> {
        None
    }

    /// Copies the file `source` to `path`.
    fn put_file(&self, path: &str, source: &Path) -> Result<()>;

    /// Writes `bytes` to `path`.
    fn put_bytes(&self, path: &str, bytes: &[u8]) -> Result<()>;

    /// What lies directly in a folder, by path.
    fn list(&self, folder: Option<&str>) -> Result<Vec<ArtifactEntry>>;

    /// Paths of the files at any depth, checked.
    fn files(&self) -> Result<Vec<String>>;

    /// Gives the content of a file to `write`, once for each attempt, and returns its size; `None` if there is no such file.
    ///
    /// # Errors
    /// [`Error::ArtifactTooLarge`] past `max_bytes`, without reading further.
    fn fetch(&self, path: &str, max_bytes: u64, write: Write<'_>) -> Result<Option<u64>>;

    /// Copies the files in and below a folder.
    fn put_folder(&self, source: &Path) -> Result<()> {
        files_below(source)?.iter().try_for_each(|path| {
            check_path(path)?;
            self.put_file(path, &source.join(path))
        })
    }

    /// Content of a file of at most `max_bytes`; `None` if there is no such file.
    fn read(&self, path: &str, max_bytes: u64) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let found = self.fetch(path, max_bytes, &mut |content| {
            bytes.clear();
            content.read_to_end(&mut bytes).map(drop).map_err(Error::io("read artifact", Path::new(path)))
        })?;
        Ok(found.map(|_| bytes))
    }

    /// Copies a file of at most `max_bytes` to the file `target`; `false` if there is no such file.
    fn download(&self, path: &str, target: &Path, max_bytes: u64) -> Result<bool> {
        Ok(self.fetch(path, max_bytes, &mut |content| write_file(target, content))?.is_some())
    }

    /// Copies the files at any depth to the folder `target`, `max_bytes` in all at most.
    fn download_folder(&self, target: &Path, max_bytes: u64) -> Result<()> {
        let (mut n_left, mut n_files) = (max_bytes, 0);
        for path in self.files()? {
            let fetched = self.fetch(&path, n_left, &mut |content| write(target, &path, content));
            let n_bytes = fetched.map_err(|error| match error {
                Error::ArtifactTooLarge { path, .. } => Error::ArtifactTooLarge { path, max_bytes },
                error => error,
            })?;
            // Listed and not there: deleted meanwhile, or the mark of a folder.
            if let Some(n_bytes) = n_bytes {
                n_left -= n_bytes;
                n_files += 1;
            }
        }
        if n_files == 0 {
            return Err(Error::NoFiles { location: self.location() });
        }
        Ok(())
    }
}

/// Whether a location is in an object store.
pub(crate) fn is_in_object_store(location: &str) -> bool {
    location.starts_with("s3://")
}

/// Takes the content of a file from its beginning.
pub(crate) type Write<'a> = &'a mut dyn FnMut(&mut dyn Read) -> Result<()>;

/// Refuses a path that could leave the artifact root or that a tracking server would not take.
pub(crate) fn check_path(path: &str) -> Result<()> {
    let expected = if path.is_empty() || path.starts_with('/') {
        "expected a relative path".to_owned()
    } else if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        "expected no empty, `.` or `..` parts".to_owned()
    } else if let Some(c) = path.chars().find(|&c| c.is_control() || matches!(c, '\\' | '#' | '?')) {
        format!("character {c:?} is not possible")
    } else if path.split('/').any(|part| part.len() > 255) || path.len() > 2000 {
        "expected at most 255 bytes in each part and 2000 in all".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Invalid { what: "artifact path", value: path.to_owned(), expected })
}

/// Files in a folder elsewhere at most, and folders in one another: it could be listed without an end.
const MAX_FILES: usize = 10_000;
const MAX_DEPTH: usize = 32;

/// Refuses a path from a listing of `location` that leaves it, is too deep, or has too many files before it.
pub(crate) fn check_listed(n_files: usize, path: &str, location: &str) -> Result<()> {
    check_path(path)?;
    if n_files == MAX_FILES || path.split('/').count() > MAX_DEPTH {
        let expected = format!("expected at most {MAX_FILES} files, {MAX_DEPTH} folders deep");
        return Err(Error::Invalid { what: "artifact folder", value: location.to_owned(), expected });
    }
    Ok(())
}

/// Gives `content`, the file at `path`, to `write`, and returns its size.
///
/// # Errors
/// [`Error::ArtifactTooLarge`] past `max_bytes`, without reading further.
pub(crate) fn pass(content: &mut dyn Read, path: &str, max_bytes: u64, write: Write<'_>) -> Result<u64> {
    let mut counted = Counted { content, n_bytes: 0, max_bytes };
    let written = write(&mut counted);
    if counted.n_bytes > max_bytes {
        return Err(Error::ArtifactTooLarge { path: path.to_owned(), max_bytes });
    }
    written.map(|()| counted.n_bytes)
}

/// Counts what is read, and fails at more than `max_bytes`.
struct Counted<'a> {
    content: &'a mut dyn Read,
    n_bytes: u64,
    max_bytes: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.content.read(buffer)?;
        self.n_bytes += n as u64;
        if self.n_bytes > self.max_bytes { Err(io::Error::other("it is too large")) } else { Ok(n) }
    }
}

/// Writes all of `content` to `path` below the folder `root`.
fn write(root: &Path, path: &str, content: &mut dyn Read) -> Result<()> {
    let target = root.join(path);
    let folder = target.parent().unwrap_or(root);
    fs::create_dir_all(folder).map_err(Error::io("create folder", folder))?;
    // Beside the root, where no listing shows it.
    let partial = root.parent().unwrap_or(root).join(format!(".partial-{}", names::new_id()?));
    put(&partial, &target, content)
}

/// Writes all of `content` to the file `target`, which is there whole or not at all.
pub(crate) fn write_file(target: &Path, content: &mut dyn Read) -> Result<()> {
    let (folder, name) = (target.parent().unwrap_or(Path::new("")), target.file_name().unwrap_or_default());
    let partial = folder.join(format!(".partial-{}-{}", name.display(), names::new_id()?));
    put(&partial, target, content)
}

/// Writes to `partial`, which then becomes `target`.
fn put(partial: &Path, target: &Path, content: &mut dyn Read) -> Result<()> {
    let written = File::create_new(partial)
        .and_then(|mut file| io::copy(content, &mut file))
        .and_then(|_| fs::rename(partial, target))
        .map_err(Error::io("write artifact", target));
    if written.is_err() {
        // The first failure is the one to report.
        let _ = fs::remove_file(partial);
    }
    written
}

/// Opens a file to be read as an artifact: a folder can be opened too, and fails later.
pub(crate) fn open_file(source: &Path) -> Result<File> {
    let file = File::open(source).map_err(Error::io("read", source))?;
    let metadata = file.metadata().map_err(Error::io("read", source))?;
    if !metadata.is_file() {
        let (value, expected) = (source.display().to_string(), "expected a file".to_owned());
        return Err(Error::Invalid { what: "artifact source", value, expected });
    }
    Ok(file)
}

/// Artifact paths of the files in and below a folder, in byte order.
pub(crate) fn files_below(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    collect_files(folder, "", &mut files)?;
    Ok(files)
}

fn collect_files(folder: &Path, prefix: &str, files: &mut Vec<String>) -> Result<()> {
    let mut entries = fs::read_dir(folder)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(Error::io("read folder", folder))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let refused = |expected: &str| Error::Invalid {
            what: "artifact source",
            value: entry.path().display().to_string(),
            expected: expected.to_owned(),
        };
        let name = entry.file_name().into_string().map_err(|_| refused("expected a UTF-8 name"))?;
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().map_err(Error::io("read", &entry.path()))?;
        if kind.is_dir() {
            // Ends a tree of endless depth, which the file system could hold, before the stack does.
            check_path(&path)?;
            collect_files(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() {
            files.push(path);
        } else {
            return Err(refused("expected a file or folder"));
        }
    }
    Ok(())
}

/// Type of a file by its name, as far as servers and browsers do something with it.
pub(crate) fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "csv" => "text/csv",
        "html" => "text/html",
        "json" => "application/json",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" | "md" | "toml" | "yaml" | "yml" | "jsonl" => "text/plain",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("")]
    #[case("/etc/passwd")]
    #[case("..")]
    #[case("a/../../b")]
    #[case("a/./b")]
    #[case("a//b")]
    #[case("a/")]
    #[case("a\\b")]
    #[case("a\0b")]
    #[case("a?b")]
    fn paths_that_leave_the_root_are_refused(#[case] path: &str) {
        assert!(matches!(check_path(path), Err(Error::Invalid { what: "artifact path", .. })));
    }

    proptest! {
        #[test]
        fn an_accepted_path_stays_below_the_root(path in "[a./\\\\ü]{0,12}") {
            if check_path(&path).is_ok() {
                let parts: Vec<_> = Path::new(&path).components().collect();
                prop_assert!(parts.iter().all(|part| matches!(part, std::path::Component::Normal(_))), "{parts:?}");
            }
        }
    }
}
