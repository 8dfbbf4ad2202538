//! A model becomes a version of a registered model.

use std::path::Path;

use phantomnet_score::Scorer;
use phantomnet_track::history::CHAMPION;
use phantomnet_track::{
    ActiveRun, ModelStatus, ModelUri, ModelVersion, NewLoggedModel, NewModelVersion, NewRun, Store, Tag, find_model,
    random_run_name,
};

use super::latency::score_failure;
use super::machine::{now_ms, user};
use super::record::MODEL_NAME;
use super::store::{open_existing_store, track_failure};
use crate::config::{Config, Registry};
use crate::failure::Failure;

/// What the version is to be.
#[derive(Debug, Clone, Copy)]
pub struct Registration<'a> {
    /// Name of the registered model.
    pub name: &'a str,
    /// Alias of the version; empty for none.
    pub alias: &'a str,
    /// What is to be known of it; may be empty.
    pub description: &'a str,
    /// Its tags.
    pub tags: &'a [Tag],
}

impl Registration<'_> {
    /// Registers a logged model.
    ///
    /// # Errors
    /// Of kind config or environment.
    pub(super) fn of_model(&self, store: &mut dyn Store, model_id: &str) -> Result<ModelVersion, Failure> {
        let new = NewModelVersion {
            name: self.name.to_owned(),
            model_id: model_id.to_owned(),
            description: self.description.to_owned(),
            tags: self.tags.to_vec(),
        };
        let mut version = store.create_model_version(new).map_err(track_failure)?;
        if !self.alias.is_empty() {
            store.set_alias(self.name, self.alias, version.version).map_err(track_failure)?;
            version.aliases.push(self.alias.to_owned());
        }
        Ok(version)
    }
}

/// Checks what `[registry]` says before the work.
///
/// # Errors
/// Of kind config.
pub(super) fn check(registry: &Registry) -> Result<(), Failure> {
    let Some(name) = &registry.name else { return Ok(()) };
    let refused = |key: &str, expected: &str, value: &str| {
        Failure::config(format!("`registry.{key}` must be {expected}, got `{value}`"))
    };
    let is_valid = |uri: String| uri.parse::<ModelUri>().is_ok();
    if !is_valid(format!("models:/{name}/1")) {
        return Err(refused("name", "1 to 256 characters without `/` and `:`", name));
    }
    if registry.alias == CHAMPION {
        return Err(Failure::config("`registry.alias` cannot be `champion`")
            .hint("train a challenger, and let `phantomnet models promote` judge it"));
    }
    if !registry.alias.is_empty() && !is_valid(format!("models:/{name}@{}", registry.alias)) {
        return Err(refused(
            "alias",
            "letters, digits, `_` and `-`, and not the likes of `v3` or `latest`",
            &registry.alias,
        ));
    }
    Ok(())
}

/// Registers a model of the tracking store, or one in a folder, which a run of its own then brings into the store.
///
/// # Errors
/// Of kind config for a model that is not there or has no logged model, of kind data for a folder that is no valid model, of kind
/// environment.
pub fn register(config: &Config, model: &str, registration: &Registration<'_>) -> Result<ModelVersion, Failure> {
    let mut store = open_existing_store(&config.tracking.uri)?;
    if !ModelUri::is_meant(model) {
        return import(store, config, Path::new(model), registration);
    }
    let uri: ModelUri = model.parse().map_err(track_failure)?;
    let found = find_model(store.as_mut(), &uri).map_err(track_failure)?;
    let logged = found.logged.ok_or_else(|| {
        Failure::config(format!("`{model}` has no logged model")).hint("download it, and register the folder")
    })?;
    if logged.status != ModelStatus::Ready {
        return Err(Failure::config(format!("the files of `{model}` are not all there")).hint("train it again"));
    }
    registration.of_model(store.as_mut(), &logged.id)
}

fn import(
    mut store: Box<dyn Store>,
    config: &Config,
    folder: &Path,
    registration: &Registration<'_>,
) -> Result<ModelVersion, Failure> {
    let scorer = Scorer::load(folder).map_err(score_failure)?;
    let experiment = store.experiment(&config.tracking.experiment).map_err(track_failure)?;
    let tags = vec![
        Tag::new("mlflow.source.name", "phantomnet models register"),
        Tag::new("mlflow.source.type", "LOCAL"),
        Tag::new("phantomnet.version", env!("CARGO_PKG_VERSION")),
        Tag::new("phantomnet.data_fingerprint", &scorer.bundle().data_fingerprint),
    ];
    let name = config.tracking.run_name.clone().unwrap_or_else(|| random_run_name(&now_ms().to_le_bytes()));
    let new = NewRun { name, user: user().unwrap_or_else(|| "unknown".into()), start_time_ms: now_ms(), tags };
    let mut run = ActiveRun::start(store, &experiment.id, new, now_ms).map_err(track_failure)?;
    let new = NewLoggedModel {
        name: MODEL_NAME.into(),
        model_type: None,
        source_run_id: run.info().id.clone(),
        step: 0,
        params: Vec::new(),
        tags: Vec::new(),
    };
    let store = run.store();
    let model = store.create_logged_model(new).map_err(track_failure)?;
    store.log_model_artifacts(&model.id, folder).map_err(track_failure)?;
    store.finalize_logged_model(&model.id, ModelStatus::Ready).map_err(track_failure)?;
    let version = registration.of_model(store, &model.id)?;
    run.finish().map_err(track_failure)?;
    Ok(version)
}
