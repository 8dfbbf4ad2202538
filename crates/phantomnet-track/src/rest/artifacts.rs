//! Artifacts of runs and models on a server: through it, or in a folder that it shares with us.

use std::io::Read;
use std::path::{Path, PathBuf};

use ureq::http::Method;

use super::http::{Ask, Http, encoded};
use super::is_missing;
use super::wire::{ArtifactsAnswer, WireFile};
use crate::artifacts;
use crate::entities::ArtifactEntry;
use crate::error::{Error, Result};

/// Parts of the location of a run's artifacts that are its own: experiment, run and `artifacts`.
pub(super) const RUN_PARTS: usize = 3;
/// Parts of the location of a model's artifacts that are its own: experiment, `models`, model and `artifacts`.
pub(super) const MODEL_PARTS: usize = 4;

/// Where the artifacts of a run or model are.
pub(super) enum Place {
    /// Behind the server: the path of this folder.
    Server(String),
    /// In a folder of this machine or one that is mounted here.
    Folder(PathBuf),
}

impl Place {
    /// The place of an artifact location as the server gives it.
    ///
    /// - `n_own`: parts at the end of the location that its run or model has for itself.
    ///
    /// # Errors
    /// [`Error::ArtifactLocation`]; [`Error::NotShared`] for a folder of another machine that is not there.
    pub(super) fn of(http: &Http, location: &str, n_own: usize) -> Result<Self> {
        let Some(rest) = location.strip_prefix("mlflow-artifacts:") else {
            let folder = artifacts::local_folder(location)?;
            // A server without a store of artifacts names a folder of its own machine. On another one, files written
            // to a folder of that name would look as if they had been logged, and never be seen again.
            if !http.is_on_this_machine() && !folder.ancestors().nth(n_own).is_some_and(Path::is_dir) {
                return Err(Error::NotShared { location: location.to_owned() });
            }
            return Ok(Self::Folder(folder));
        };
        // `mlflow-artifacts:/path` is the server we talk to; with a host it may be another one.
        let path = rest.strip_prefix("///").or_else(|| rest.strip_prefix('/').filter(|path| !path.starts_with('/')));
        let unsupported = || Error::ArtifactLocation { location: location.to_owned() };
        let path = path.ok_or_else(unsupported)?.trim_end_matches('/');
        artifacts::check_path(path).map_err(|_| unsupported())?;
        Ok(Self::Server(path.to_owned()))
    }
}

fn path_of(folder: &str, path: &str) -> String {
    let parts: Vec<String> = folder.split('/').chain(path.split('/')).map(encoded).collect();
    format!("/api/2.0/mlflow-artifacts/artifacts/{}", parts.join("/"))
}

/// Copies a file.
pub(super) fn put_file(http: &Http, place: &Place, path: &str, source: &Path) -> Result<()> {
    artifacts::check_path(path)?;
    match place {
        Place::Folder(root) => artifacts::copy_file(root, path, source),
        Place::Server(folder) => {
            artifacts::open_file(source)?;
            http.put_file(put(&path_of(folder, path)), content_type(path), source)
        }
    }
}

/// Writes a file.
pub(super) fn put_bytes(http: &Http, place: &Place, path: &str, mut bytes: &[u8]) -> Result<()> {
    artifacts::check_path(path)?;
    match place {
        Place::Folder(root) => artifacts::write(root, path, &mut bytes),
        Place::Server(folder) => http.put_bytes(put(&path_of(folder, path)), content_type(path), bytes),
    }
}

/// Copies the files in and below a folder.
pub(super) fn put_folder(http: &Http, place: &Place, source: &Path) -> Result<()> {
    let files = artifacts::files_below(source)?;
    files.iter().try_for_each(|path| put_file(http, place, path, &source.join(path)))
}

fn put(path: &str) -> Ask<'_> {
    Ask { action: "write an artifact", method: &Method::PUT, path, query: &[], is_file: true }
}

/// What lies directly in a folder of a run's artifacts, by path.
pub(super) fn list(http: &Http, run_id: &str, place: &Place, folder: Option<&str>) -> Result<Vec<ArtifactEntry>> {
    folder.map_or(Ok(()), artifacts::check_path)?;
    if let Place::Folder(root) = place {
        return artifacts::list(root, folder);
    }
    let mut entries = http
        .pages(|token, _| {
            let mut query = vec![("run_id", run_id)];
            query.extend(folder.map(|folder| ("path", folder)));
            query.extend(Some(("page_token", token)).filter(|_| !token.is_empty()));
            let ask = Ask {
                action: "list artifacts",
                method: &Method::GET,
                path: "/api/2.0/mlflow/artifacts/list",
                query: &query,
                is_file: false,
            };
            match http.json::<ArtifactsAnswer>(ask, None) {
                Err(error) if is_missing(&error) => Ok((Vec::new(), String::new())),
                answer => answer.map(|answer| (answer.files, answer.next_page_token)),
            }
        })?
        .into_iter()
        .filter(|file| is_in(&file.path, folder))
        .map(WireFile::entry)
        .collect::<Vec<_>>();
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// Whether a path lies directly in the folder: asked for a file, servers list the file.
fn is_in(path: &str, folder: Option<&str>) -> bool {
    let name = match folder {
        None => Some(path),
        Some(folder) => path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')),
    };
    name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

/// Content of a file of at most `max_bytes`; `None` if there is no such file.
pub(super) fn read(http: &Http, run_id: &str, place: &Place, path: &str, max_bytes: u64) -> Result<Option<Vec<u8>>> {
    artifacts::check_path(path)?;
    let folder = match place {
        Place::Folder(root) => return artifacts::read(root, path, max_bytes),
        Place::Server(folder) => folder,
    };
    if !is_file(http, run_id, place, path)? {
        return Ok(None);
    }
    let ask = Ask {
        action: "read an artifact",
        method: &Method::GET,
        path: &path_of(folder, path),
        query: &[],
        is_file: true,
    };
    match http.get_bytes(ask, max_bytes) {
        Err(error) if is_missing(&error) => Ok(None),
        Ok(None) => Err(Error::ArtifactTooLarge { path: path.to_owned(), max_bytes }),
        answer => answer,
    }
}

/// Whether the run has a file of this path. Asked for a folder, a server fails in ways that look like an outage.
fn is_file(http: &Http, run_id: &str, place: &Place, path: &str) -> Result<bool> {
    let parent = path.rsplit_once('/').map(|(parent, _)| parent);
    Ok(list(http, run_id, place, parent)?.iter().any(|entry| entry.path == path && !entry.is_dir))
}

/// Copies a file of at most `max_bytes` to the file `target`; `false` if there is no such file.
pub(super) fn download_file(
    http: &Http,
    run_id: &str,
    place: &Place,
    path: &str,
    target: &Path,
    max_bytes: u64,
) -> Result<bool> {
    artifacts::check_path(path)?;
    let folder = match place {
        Place::Folder(root) => return artifacts::copy_out(root, path, target, max_bytes),
        Place::Server(folder) => folder,
    };
    if !is_file(http, run_id, place, path)? {
        return Ok(false);
    }
    fetch(http, folder, path, max_bytes, &mut |content| artifacts::write_file(target, content))?;
    Ok(true)
}

/// Gets a file of at most `max_bytes` behind the server, and gives its size.
fn fetch(
    http: &Http,
    folder: &str,
    path: &str,
    max_bytes: u64,
    write: &mut dyn FnMut(&mut dyn Read) -> Result<()>,
) -> Result<u64> {
    let url = path_of(folder, path);
    let ask = Ask { action: "read an artifact", method: &Method::GET, path: &url, query: &[], is_file: true };
    // What a server says of sizes may be wrong; what is read counts.
    let mut n_bytes = 0;
    let written = http.get_file(ask, max_bytes, |content| {
        let mut counted = Counted { content, n_bytes: 0, max_bytes };
        let written = write(&mut counted);
        n_bytes = counted.n_bytes;
        written
    });
    if n_bytes > max_bytes {
        return Err(Error::ArtifactTooLarge { path: path.to_owned(), max_bytes });
    }
    written.map(|()| n_bytes)
}

/// Copies the files at a place to a folder, `max_bytes` in all at most.
pub(super) fn download(http: &Http, place: &Place, target: &Path, max_bytes: u64) -> Result<()> {
    let folder = match place {
        Place::Folder(source) => return artifacts::copy_folder_within(source, target, max_bytes),
        Place::Server(folder) => folder,
    };
    let mut files = Vec::new();
    collect_files(http, folder, "", &mut files)?;
    if files.is_empty() {
        return Err(Error::NoFiles { location: format!("mlflow-artifacts:/{folder}") });
    }
    let mut n_left = max_bytes;
    for path in files {
        let write = &mut |content: &mut dyn Read| artifacts::write(target, &path, content);
        n_left -= fetch(http, folder, &path, n_left, write).map_err(|error| match error {
            Error::ArtifactTooLarge { path, .. } => Error::ArtifactTooLarge { path, max_bytes },
            error => error,
        })?;
    }
    Ok(())
}

/// Files in a folder at most, and folders in one another: a server could list them without an end.
const MAX_FILES: usize = 10_000;
const MAX_DEPTH: usize = 32;

/// Paths of the files in and below `folder/below`, from `folder`.
fn collect_files(http: &Http, folder: &str, below: &str, files: &mut Vec<String>) -> Result<()> {
    let absolute = if below.is_empty() { folder.to_owned() } else { format!("{folder}/{below}") };
    let ask = Ask {
        action: "list artifacts",
        method: &Method::GET,
        path: "/api/2.0/mlflow-artifacts/artifacts",
        query: &[("path", absolute.as_str())],
        is_file: false,
    };
    let answer: ArtifactsAnswer = http.json(ask, None)?;
    for file in answer.files {
        let path = if below.is_empty() { file.path } else { format!("{below}/{}", file.path) };
        artifacts::check_path(&path)?;
        if files.len() == MAX_FILES || path.split('/').count() > MAX_DEPTH {
            let expected = format!("expected at most {MAX_FILES} files, {MAX_DEPTH} folders deep");
            return Err(Error::Invalid { what: "artifact folder on the server", value: folder.to_owned(), expected });
        }
        if file.is_dir { collect_files(http, folder, &path, files)? } else { files.push(path) }
    }
    Ok(())
}

/// Counts what is read, and fails at more than `max_bytes`.
struct Counted<'a> {
    content: &'a mut dyn Read,
    n_bytes: u64,
    max_bytes: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.content.read(buffer)?;
        self.n_bytes += n as u64;
        if self.n_bytes > self.max_bytes { Err(std::io::Error::other("it is too large")) } else { Ok(n) }
    }
}

/// Type of a file by its name, as far as servers and browsers do something with it.
fn content_type(path: &str) -> &'static str {
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
    use rstest::rstest;

    fn place(server: &str, location: &str) -> Result<Place> {
        Place::of(&Http::new(server, crate::ServerOptions::default())?, location, RUN_PARTS)
    }

    #[test]
    fn folders_of_other_machines_are_none_of_ours_unless_they_are_there() {
        let here = tempfile::tempdir().expect("folder");
        let shared = format!("{}/1/r/artifacts", here.path().display());
        assert!(matches!(place("http://mlflow", &shared), Ok(Place::Folder(_))));
        let elsewhere = "/nowhere/mlruns/1/r/artifacts";
        assert!(matches!(place("http://mlflow", elsewhere), Err(Error::NotShared { .. })));
        assert!(matches!(place("http://localhost:5000", elsewhere), Ok(Place::Folder(_))));
    }

    #[rstest]
    #[case("mlflow-artifacts:/1/a b/artifacts", "1/a b/artifacts")]
    #[case("mlflow-artifacts:///1/x/", "1/x")]
    fn places_behind_the_server(#[case] location: &str, #[case] expected: &str) {
        assert!(matches!(place("http://mlflow", location), Ok(Place::Server(folder)) if folder == expected));
    }

    #[rstest]
    #[case("mlflow-artifacts://other-host/1/x")]
    #[case("mlflow-artifacts:/../x")]
    #[case("mlflow-artifacts:")]
    #[case("s3://bucket/1")]
    fn other_places_are_refused(#[case] location: &str) {
        assert!(matches!(place("http://mlflow", location), Err(Error::ArtifactLocation { .. })));
    }

    #[rstest]
    #[case("a.txt", None, true)]
    #[case("a/b.txt", None, false)]
    #[case("a/b.txt", Some("a"), true)]
    #[case("a", Some("a"), false)]
    #[case("a/", Some("a"), false)]
    #[case("ab/c", Some("a"), false)]
    fn direct_children(#[case] path: &str, #[case] folder: Option<&str>, #[case] expected: bool) {
        assert_eq!(is_in(path, folder), expected);
    }
}
