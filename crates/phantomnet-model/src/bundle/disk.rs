//! Files of a model folder: read with a limit, written whole or not at all.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::ModelError;

pub(super) fn other_size(got: u64, expected: u64) -> String {
    format!("it has {got} bytes, the manifest says {expected}")
}

/// Checks a file that is not read.
pub(super) fn check_size(path: &Path, expected: u64) -> Result<(), ModelError> {
    let metadata = fs::metadata(path).map_err(|source| ModelError::Io { path: path.to_owned(), source })?;
    if metadata.is_file() && metadata.len() == expected {
        return Ok(());
    }
    Err(ModelError::Corrupt { path: path.to_owned(), reason: other_size(metadata.len(), expected) })
}

/// Reads a regular file of at most `limit` bytes.
pub(super) fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, ModelError> {
    let io = |source| ModelError::Io { path: path.to_owned(), source };
    // Looked at before it is opened: opening a pipe would wait for a writer.
    let metadata = fs::metadata(path).map_err(io)?;
    let corrupt = |reason: String| ModelError::Corrupt { path: path.to_owned(), reason };
    if !metadata.is_file() {
        return Err(corrupt("it is not a regular file".into()));
    }
    if metadata.len() > limit {
        return Err(corrupt(format!("it has {} bytes, more than the limit of {limit}", metadata.len())));
    }
    let file = fs::File::open(path).map_err(io)?;
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    // `take`: the file may grow after it was measured.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > limit {
        return Err(corrupt(format!("it has more bytes than the limit of {limit}")));
    }
    Ok(bytes)
}

/// A hidden name beside `dir` that is free. Process ids alone do not tell containers apart that share a disk.
pub(super) fn sibling(dir: &Path, what: &str) -> PathBuf {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let candidate = |n: u32| dir.with_file_name(format!(".{name}.{what}-{}-{n}", std::process::id()));
    (0..u32::MAX).map(candidate).find(|path| !path.exists()).unwrap_or_else(|| candidate(u32::MAX))
}

pub(super) fn write_all(dir: &Path, files: &[(String, Vec<u8>)]) -> Result<(), ModelError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ModelError::Io { path, source }
    };
    let parent = dir.parent().unwrap_or(dir);
    // `create_dir` and not `create_dir_all` for the folder itself: one that is there already is somebody else's.
    fs::create_dir_all(parent).and_then(|()| fs::create_dir(dir)).map_err(io(dir))?;
    for (name, bytes) in files {
        let path = dir.join(name);
        fs::write(&path, bytes).map_err(io(&path))?;
    }
    Ok(())
}

/// Moves `staging` to `dir`; what was there is removed only after it was moved aside.
pub(super) fn replace(staging: &Path, dir: &Path) -> Result<(), ModelError> {
    let io = |source| ModelError::Io { path: dir.to_owned(), source };
    let old = sibling(dir, "old");
    if dir.exists() {
        fs::rename(dir, &old).map_err(io)?;
    }
    if let Err(error) = fs::rename(staging, dir) {
        if old.exists() {
            let _ = fs::rename(&old, dir);
        }
        return Err(io(error));
    }
    if old.exists() { fs::remove_dir_all(&old).map_err(io) } else { Ok(()) }
}

pub(super) fn hex_sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
