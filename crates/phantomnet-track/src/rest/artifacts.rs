//! Artifacts of runs and models on a server: through it, or where it says that they are.

use std::path::Path;

use ureq::http::Method;

use super::http::{Ask, Http, encoded};
use super::is_missing;
use super::wire::{ArtifactsAnswer, WireFile};
use crate::artifacts::{
    self, Folder, ObjectStores, Place, Write, check_listed, content_type, is_in_object_store, open_file, pass,
};
use crate::entities::ArtifactEntry;
use crate::error::{Error, Result};

/// What the artifacts at a location belong to.
#[derive(Clone, Copy)]
pub(super) enum Owner<'a> {
    /// The run of this id.
    Run(&'a str),
    Model,
}

impl Owner<'_> {
    /// Parts at the end of the location that are the owner's: experiment, run and `artifacts`, or experiment, `models`, model and
    /// `artifacts`.
    fn n_parts(self) -> usize {
        match self {
            Self::Run(_) => 3,
            Self::Model => 4,
        }
    }
}

/// The place of an artifact location as the server gives it.
///
/// # Errors
/// [`Error::NotShared`] for a folder of another machine that is not there; those of [`ObjectStores::place`].
pub(super) fn place<'a>(
    http: &'a Http,
    object_stores: &ObjectStores,
    location: &str,
    owner: Owner<'a>,
) -> Result<Box<dyn Place + 'a>> {
    if is_in_object_store(location) {
        return object_stores.place(location);
    }
    let Some(rest) = location.strip_prefix("mlflow-artifacts:") else {
        let folder = artifacts::local_folder(location)?;
        // A server without a store of artifacts names a folder of its own machine. On another one, files written
        // to a folder of that name would look as if they had been logged, and never be seen again.
        if !http.is_on_this_machine() && !folder.ancestors().nth(owner.n_parts()).is_some_and(Path::is_dir) {
            return Err(Error::NotShared { location: location.to_owned() });
        }
        return Ok(Box::new(Folder(folder)));
    };
    // `mlflow-artifacts:/path` is the server we talk to; with a host it may be another one.
    let path = rest.strip_prefix("///").or_else(|| rest.strip_prefix('/').filter(|path| !path.starts_with('/')));
    let unsupported = || Error::ArtifactLocation { location: location.to_owned() };
    let folder = path.ok_or_else(unsupported)?.trim_end_matches('/');
    artifacts::check_path(folder).map_err(|_| unsupported())?;
    Ok(Box::new(Served { http, folder: folder.to_owned(), owner }))
}

/// A folder behind the server.
struct Served<'a> {
    http: &'a Http,
    folder: String,
    owner: Owner<'a>,
}

impl Served<'_> {
    fn url_path(&self, path: &str) -> String {
        let parts: Vec<String> = self.folder.split('/').chain(path.split('/')).map(encoded).collect();
        format!("/api/2.0/mlflow-artifacts/artifacts/{}", parts.join("/"))
    }

    /// Adds the paths of the files in and below the folder `below`.
    fn collect_files(&self, below: &str, files: &mut Vec<String>) -> Result<()> {
        let absolute = if below.is_empty() { self.folder.clone() } else { format!("{}/{below}", self.folder) };
        let ask = Ask {
            action: "list artifacts",
            method: &Method::GET,
            path: "/api/2.0/mlflow-artifacts/artifacts",
            query: &[("path", absolute.as_str())],
            is_file: false,
        };
        let answer: ArtifactsAnswer = self.http.json(ask, None)?;
        for file in answer.files {
            let path = if below.is_empty() { file.path } else { format!("{below}/{}", file.path) };
            check_listed(files.len(), &path, &self.location())?;
            if file.is_dir { self.collect_files(&path, files)? } else { files.push(path) }
        }
        Ok(())
    }
}

fn put(path: &str) -> Ask<'_> {
    Ask { action: "write an artifact", method: &Method::PUT, path, query: &[], is_file: true }
}

impl Place for Served<'_> {
    fn location(&self) -> String {
        format!("mlflow-artifacts:/{}", self.folder)
    }

    fn put_file(&self, path: &str, source: &Path) -> Result<()> {
        open_file(source)?;
        self.http.put_file(put(&self.url_path(path)), content_type(path), source)
    }

    fn put_bytes(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.http.put_bytes(put(&self.url_path(path)), content_type(path), bytes)
    }

    fn list(&self, folder: Option<&str>) -> Result<Vec<ArtifactEntry>> {
        let Owner::Run(run_id) = self.owner else { return Ok(Vec::new()) };
        let mut entries = self
            .http
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
                match self.http.json::<ArtifactsAnswer>(ask, None) {
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

    fn files(&self) -> Result<Vec<String>> {
        let mut files = Vec::new();
        self.collect_files("", &mut files)?;
        Ok(files)
    }

    fn fetch(&self, path: &str, max_bytes: u64, write: Write<'_>) -> Result<Option<u64>> {
        // Asked for a folder, a server fails in ways that look like an outage. Of a model, only files are asked for.
        if matches!(self.owner, Owner::Run(_)) {
            let parent = path.rsplit_once('/').map(|(parent, _)| parent);
            if !self.list(parent)?.iter().any(|entry| entry.path == path && !entry.is_dir) {
                return Ok(None);
            }
        }
        let url = self.url_path(path);
        let ask = Ask { action: "read an artifact", method: &Method::GET, path: &url, query: &[], is_file: true };
        // What a server says of sizes may be wrong; what is read counts.
        let mut n_bytes = 0;
        let fetched = self.http.get_file(ask, max_bytes, |content| {
            n_bytes = pass(content, path, max_bytes, write)?;
            Ok(())
        });
        match fetched {
            Err(error) if is_missing(&error) => Ok(None),
            fetched => fetched.map(|()| Some(n_bytes)),
        }
    }
}

/// Whether a path lies directly in the folder: asked for a file, servers list the file.
fn is_in(path: &str, folder: Option<&str>) -> bool {
    let name = match folder {
        None => Some(path),
        Some(folder) => path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')),
    };
    name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// The place's location and folder.
    fn place(server: &str, location: &str) -> Result<(String, Option<std::path::PathBuf>)> {
        let http = Http::new(server, crate::ServerOptions::default())?;
        let object_stores = ObjectStores::new(&crate::ServerOptions::default());
        let place = super::place(&http, &object_stores, location, Owner::Run("r"))?;
        Ok((place.location(), place.local_folder().map(Path::to_owned)))
    }

    #[test]
    fn folders_of_other_machines_are_none_of_ours_unless_they_are_there() {
        let here = tempfile::tempdir().expect("folder");
        let shared = format!("{}/1/r/artifacts", here.path().display());
        assert!(matches!(place("http://mlflow", &shared), Ok((_, Some(_)))));
        let elsewhere = "/nowhere/mlruns/1/r/artifacts";
        assert!(matches!(place("http://mlflow", elsewhere), Err(Error::NotShared { .. })));
        assert!(matches!(place("http://localhost:5000", elsewhere), Ok((_, Some(_)))));
    }

    #[rstest]
    #[case("mlflow-artifacts:/1/a b/artifacts", "mlflow-artifacts:/1/a b/artifacts")]
    #[case("mlflow-artifacts:///1/x/", "mlflow-artifacts:/1/x")]
    fn places_behind_the_server(#[case] location: &str, #[case] expected: &str) {
        assert!(matches!(place("http://mlflow", location), Ok((location, None)) if location == expected));
    }

    #[rstest]
    #[case("mlflow-artifacts://other-host/1/x")]
    #[case("mlflow-artifacts:/../x")]
    #[case("mlflow-artifacts:")]
    #[case("gs://bucket/1")]
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
