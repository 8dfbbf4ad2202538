//! Artifact files in a local folder.
//!
//! A file is written under another name beside the artifact root, where no listing shows it, and then renamed into place.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::entities::ArtifactEntry;
use crate::error::{Error, Result};
use crate::names;

/// The folder of an artifact location: an absolute path or a `file:` URI.
pub(crate) fn local_folder(location: &str) -> Result<PathBuf> {
    let unsupported = || Error::ArtifactLocation { location: location.to_owned() };
    let Some(rest) = location.strip_prefix("file:") else {
        let path = Path::new(location);
        // A relative location would mean another folder to every reader.
        return if path.is_absolute() { Ok(path.to_owned()) } else { Err(unsupported()) };
    };
    let path = match rest.strip_prefix("//") {
        Some(rest) => rest.strip_prefix("localhost").unwrap_or(rest),
        None => rest,
    };
    if !path.starts_with('/') {
        return Err(unsupported());
    }
    percent_decoded(path).map(PathBuf::from).ok_or_else(unsupported)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok().filter(|path| !path.contains('\0'))
}

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

/// Writes all of `content` to `path` below `root`.
pub(crate) fn write(root: &Path, path: &str, content: &mut dyn Read) -> Result<()> {
    check_path(path)?;
    let target = root.join(path);
    let folder = target.parent().unwrap_or(root);
    fs::create_dir_all(folder).map_err(Error::io("create folder", folder))?;
    let partial = root.parent().unwrap_or(root).join(format!(".partial-{}", names::new_id()?));
    put(&partial, &target, content)
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

/// Copies the file `source` to `path` below `root`.
pub(crate) fn copy_file(root: &Path, path: &str, source: &Path) -> Result<()> {
    write(root, path, &mut open_file(source)?)
}

/// Copies all files in and below `source` to `root`.
pub(crate) fn copy_folder(root: &Path, source: &Path) -> Result<()> {
    files_below(source)?.iter().try_for_each(|path| copy_file(root, path, &source.join(path)))
}

/// Copies the files in and below `source` to `target`, `max_bytes` in all at most.
pub(crate) fn copy_folder_within(source: &Path, target: &Path, max_bytes: u64) -> Result<()> {
    let files = if source.is_dir() { files_below(source)? } else { Vec::new() };
    if files.is_empty() {
        return Err(Error::NoFiles { location: source.display().to_string() });
    }
    let mut n_left = max_bytes;
    for path in files {
        let file = source.join(&path);
        let n_bytes = fs::metadata(&file).map_err(Error::io("read", &file))?.len();
        n_left =
            n_left.checked_sub(n_bytes).ok_or_else(|| Error::ArtifactTooLarge { path: path.clone(), max_bytes })?;
        copy_file(target, &path, &file)?;
    }
    Ok(())
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

/// What lies directly in `folder` below `root`, by path.
pub(crate) fn list(root: &Path, folder: Option<&str>) -> Result<Vec<ArtifactEntry>> {
    folder.map_or(Ok(()), check_path)?;
    let absolute = folder.map_or_else(|| root.to_owned(), |folder| root.join(folder));
    let entries = match fs::read_dir(&absolute) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(source) => return Err(Error::io("read folder", &absolute)(source)),
    };
    let mut listed = entries
        .map(|entry| {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            Ok(ArtifactEntry {
                path: folder.map_or_else(|| name.to_string(), |folder| format!("{folder}/{name}")),
                is_dir: metadata.is_dir(),
                n_bytes: if metadata.is_dir() { 0 } else { metadata.len() },
            })
        })
        .collect::<io::Result<Vec<_>>>()
        .map_err(Error::io("read folder", &absolute))?;
    listed.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listed)
}

/// Copies the file at `path` below `root` to `target`; `false` if there is no such file.
pub(crate) fn copy_out(root: &Path, path: &str, target: &Path, max_bytes: u64) -> Result<bool> {
    check_path(path)?;
    let source = root.join(path);
    match fs::metadata(&source) {
        Ok(metadata) if metadata.is_file() && metadata.len() > max_bytes => {
            return Err(Error::ArtifactTooLarge { path: path.to_owned(), max_bytes });
        }
        Ok(metadata) if metadata.is_file() => {}
        _ => return Ok(false),
    }
    write_file(target, &mut open_file(&source)?).map(|()| true)
}

/// Writes all of `content` to the file `target`, which is there whole or not at all.
pub(crate) fn write_file(target: &Path, content: &mut dyn Read) -> Result<()> {
    let (folder, name) = (target.parent().unwrap_or(Path::new("")), target.file_name().unwrap_or_default());
    let partial = folder.join(format!(".partial-{}-{}", name.display(), names::new_id()?));
    put(&partial, target, content)
}

/// Content of the file at `path` below `root`; `None` if there is no such file.
pub(crate) fn read(root: &Path, path: &str, max_bytes: u64) -> Result<Option<Vec<u8>>> {
    check_path(path)?;
    let absolute = root.join(path);
    let file = match File::open(&absolute) {
        Ok(file) if file.metadata().is_ok_and(|metadata| metadata.is_file()) => file,
        Ok(_) => return Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(source) => return Err(Error::io("read artifact", &absolute)(source)),
    };
    let mut bytes = Vec::new();
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::io("read artifact", &absolute))?;
    if bytes.len() as u64 > max_bytes {
        return Err(Error::ArtifactTooLarge { path: path.to_owned(), max_bytes });
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("/data/mlruns/1", "/data/mlruns/1")]
    #[case("file:///data/mlruns/1", "/data/mlruns/1")]
    #[case("file:/data/1", "/data/1")]
    #[case("file://localhost/data/1", "/data/1")]
    #[case("file:///my%20data/%C3%BC", "/my data/ü")]
    #[case("/100%/1", "/100%/1")]
    fn local_locations(#[case] location: &str, #[case] folder: &str) {
        assert_eq!(local_folder(location).expect("local"), Path::new(folder));
    }

    #[rstest]
    #[case("mlruns/1")]
    #[case("")]
    #[case("s3://bucket/1")]
    #[case("mlflow-artifacts:/1")]
    #[case("file://server/share")]
    #[case("file:///bad%2")]
    #[case("file:///bad%zz")]
    #[case("file:///nul%00")]
    fn other_locations_are_refused(#[case] location: &str) {
        let message = local_folder(location).expect_err("not local").to_string();
        assert_eq!(
            message,
            format!("artifact location `{location}` is not supported: expected an absolute path or `file:///...`")
        );
    }

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
