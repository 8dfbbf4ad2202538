//! Artifacts in a folder of this machine, or one that is mounted here.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{Place, Write, files_below, open_file, pass, write};
use crate::entities::ArtifactEntry;
use crate::error::{Error, Result};

/// A folder.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Place for Folder {
    fn location(&self) -> String {
        self.0.display().to_string()
    }

    fn local_folder(&self) -> Option<&Path> {
        Some(&self.0)
    }

    fn put_file(&self, path: &str, source: &Path) -> Result<()> {
        write(&self.0, path, &mut open_file(source)?)
    }

    fn put_bytes(&self, path: &str, mut bytes: &[u8]) -> Result<()> {
        write(&self.0, path, &mut bytes)
    }

    fn list(&self, folder: Option<&str>) -> Result<Vec<ArtifactEntry>> {
        let absolute = folder.map_or_else(|| self.0.clone(), |folder| self.0.join(folder));
        let entries = match fs::read_dir(&absolute) {
            Ok(entries) => entries,
            Err(error) if is_missing(&error) => return Ok(Vec::new()),
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

    fn files(&self) -> Result<Vec<String>> {
        if self.0.is_dir() { files_below(&self.0) } else { Ok(Vec::new()) }
    }

    fn fetch(&self, path: &str, max_bytes: u64, write: Write<'_>) -> Result<Option<u64>> {
        let absolute = self.0.join(path);
        let failed = |source| Error::io("read artifact", &absolute)(source);
        let mut file = match File::open(&absolute) {
            Ok(file) => file,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Ok(None);
        }
        if metadata.len() > max_bytes {
            return Err(Error::ArtifactTooLarge { path: path.to_owned(), max_bytes });
        }
        pass(&mut file, path, max_bytes, write).map(Some)
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

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

#[cfg(test)]
mod tests {
    use super::*;
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
            format!(
                "artifact location `{location}` is not supported: expected an absolute path, `file:///...` or `s3://bucket/...`"
            )
        );
    }
}
