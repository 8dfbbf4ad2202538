//! The folder of a model that a command names: as a folder, or as MLflow names models in a tracking store.

use std::path::{Path, PathBuf};

use phantomnet_track::{FoundModel, ModelUri, Store, find_model};
use tempfile::TempDir;

use super::store::{open_existing_store, track_failure};
use crate::config::Tracking;
use crate::failure::Failure;

/// Most bytes that are copied from a tracking store at once.
pub(crate) const MAX_BYTES: u64 = 64 << 30;

/// A model's folder, there as long as this lives.
#[derive(Debug)]
pub struct ModelSource {
    path: PathBuf,
    /// What the tracking store knows of it; none for a folder.
    pub found: Option<FoundModel>,
    _copy: Option<TempDir>,
}

impl ModelSource {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The folder of `model`: a folder, or `models:/NAME/3`, `models:/NAME@champion`, `models:/m-...` or `runs:/RUN/model` in the
/// tracking store, whose files are used where they lie, or copied if they are behind a server.
///
/// # Errors
/// Of kind config for a model that is not there; of kind environment when store or files cannot be read.
pub fn model_source(model: &str, tracking: &Tracking) -> Result<ModelSource, Failure> {
    if !ModelUri::is_meant(model) {
        return Ok(ModelSource { path: PathBuf::from(model), found: None, _copy: None });
    }
    let uri = model.parse().map_err(track_failure)?;
    let mut store = open_existing_store(&tracking.uri)?;
    let found = find_model(store.as_mut(), &uri).map_err(track_failure)?;
    fetch(store.as_mut(), found)
}

/// The folder of a model that was found.
///
/// # Errors
/// Of kind environment.
pub fn fetch(store: &mut dyn Store, found: FoundModel) -> Result<ModelSource, Failure> {
    if let Some(path) = store.local_folder(&found.location).map_err(track_failure)? {
        return Ok(ModelSource { path, found: Some(found), _copy: None });
    }
    let copy = tempfile::Builder::new().prefix("phantomnet-model-").tempdir().map_err(|e| {
        Failure::environment("cannot make a folder for the model")
            .caused_by(e)
            .hint("TMPDIR names the place of such folders")
    })?;
    let path = copy.path().join("model");
    store.download_folder(&found.location, &path, MAX_BYTES).map_err(track_failure)?;
    Ok(ModelSource { path, found: Some(found), _copy: Some(copy) })
}

/// Copies the files at a location of artifacts to the new folder `target`, which is there whole or not at all.
///
/// # Errors
/// Of kind config if `target` is there; of kind environment.
pub fn download(store: &mut dyn Store, location: &str, target: &Path) -> Result<(), Failure> {
    if target.exists() {
        return Err(Failure::config(format!("`{}` is there already", target.display())).hint("name a new folder"));
    }
    let parent = target.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(|e| Failure::of_writing(parent, e))?;
    let staging =
        tempfile::Builder::new().prefix(".partial-").tempdir_in(parent).map_err(|e| Failure::of_writing(parent, e))?;
    let partial = staging.path().join("files");
    store.download_folder(location, &partial, MAX_BYTES).map_err(track_failure)?;
    std::fs::rename(&partial, target).map_err(|e| Failure::of_writing(target, e))
}
