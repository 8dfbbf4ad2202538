//! Registered models: names under which versions of a model are kept, and the ways to say which one is meant.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::entities::{LoggedModel, Tag};
use crate::error::{Error, Result};
use crate::store::Store;
use crate::{limits, names};

/// A name under which versions of a model are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredModel {
    /// Unique in the store.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// When it was created, in milliseconds since 1970.
    pub creation_time_ms: i64,
    /// When it or a version was last created, changed or deleted.
    pub last_updated_ms: i64,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
    /// Versions by alias, such as `champion`.
    pub aliases: BTreeMap<String, u32>,
}

/// A version of a registered model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelVersion {
    /// Name of the registered model.
    pub name: String,
    /// From 1; the number of a deleted version is not given again.
    pub version: u32,
    /// What it is: `models:/m-...` for a logged model, or where its files are.
    pub source: String,
    /// The run that made it, if known.
    pub run_id: Option<String>,
    /// What is to be known of it; may be empty.
    pub description: String,
    /// When it was registered.
    pub creation_time_ms: i64,
    /// When it was last changed.
    pub last_updated_ms: i64,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
    /// Aliases that mean this version.
    pub aliases: Vec<String>,
}

impl ModelVersion {
    /// Id of the logged model, if it is one.
    pub fn model_id(&self) -> Option<&str> {
        self.source.strip_prefix("models:/").filter(|id| is_model_id(id))
    }
}

/// A version to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewModelVersion {
    /// Name of the registered model, which is created if there is none: 1 to 256 characters, none of `/` and `:`.
    pub name: String,
    /// The logged model.
    pub model_id: String,
    /// What is to be known of it; at most 5,000 characters.
    pub description: String,
    /// Tags it starts with; values of at most 5,000 characters.
    pub tags: Vec<Tag>,
}

/// Registered models of a store, in words of MLflow's registry. Part of every [`Store`], whose rules hold here, too.
pub trait Registry {
    /// All registered models by name. Prompts, which MLflow keeps among them, are left out.
    fn registered_models(&mut self) -> Result<Vec<RegisteredModel>>;

    /// The registered model of this name.
    ///
    /// # Errors
    /// [`Error::RegisteredModelNotFound`].
    fn registered_model(&mut self, name: &str) -> Result<RegisteredModel>;

    /// Registers a logged model as the next version of a name, which is created if there is none.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`]; [`Error::Invalid`] for a name that is not possible.
    fn create_model_version(&mut self, version: NewModelVersion) -> Result<ModelVersion>;

    /// The version that was registered with this key; registered if there is none, as [`Store::create_run_once`] does.
    ///
    /// # Errors
    /// Those of [`Registry::create_model_version`]; [`Error::Invalid`] for the key.
    fn create_model_version_once(&mut self, version: NewModelVersion, key: &str) -> Result<ModelVersion>;

    /// All versions of a registered model by number, without deleted ones.
    ///
    /// # Errors
    /// [`Error::RegisteredModelNotFound`].
    fn model_versions(&mut self, name: &str) -> Result<Vec<ModelVersion>>;

    /// One version.
    ///
    /// # Errors
    /// [`Error::RegisteredModelNotFound`], [`Error::ModelVersionNotFound`].
    fn model_version(&mut self, name: &str, version: u32) -> Result<ModelVersion>;

    /// Folder or URI of a version's files.
    ///
    /// # Errors
    /// As [`Registry::model_version`].
    fn model_version_location(&mut self, name: &str, version: u32) -> Result<String>;

    /// Makes an alias mean a version; it means no other from then on. Safe to repeat.
    ///
    /// # Errors
    /// As [`Registry::model_version`]; [`Error::Invalid`] for anything but letters, digits, `_` and `-`, for `latest`, and for
    /// the likes of `v3`.
    fn set_alias(&mut self, name: &str, alias: &str, version: u32) -> Result<()>;

    /// Removes an alias, if it is there. Safe to repeat.
    ///
    /// # Errors
    /// [`Error::RegisteredModelNotFound`].
    fn delete_alias(&mut self, name: &str, alias: &str) -> Result<()>;

    /// Sets a tag of a registered model. Safe to repeat.
    ///
    /// # Errors
    /// [`Error::RegisteredModelNotFound`], [`Error::ValueTooLong`] past 5,000 characters.
    fn tag_registered_model(&mut self, name: &str, tag: &Tag) -> Result<()>;

    /// Removes a tag of a registered model, if it is there. Safe to repeat.
    ///
    /// # Errors
    /// [`Error::RegisteredModelNotFound`].
    fn untag_registered_model(&mut self, name: &str, key: &str) -> Result<()>;

    /// Sets a tag of a version. Safe to repeat.
    ///
    /// # Errors
    /// As [`Registry::model_version`]; [`Error::ValueTooLong`] past 5,000 characters.
    fn tag_model_version(&mut self, name: &str, version: u32, tag: &Tag) -> Result<()>;

    /// Replaces the description of a registered model, or of one of its versions. Safe to repeat.
    ///
    /// # Errors
    /// As [`Registry::model_version`]; [`Error::Invalid`] past 5,000 characters.
    fn describe_model(&mut self, name: &str, version: Option<u32>, description: &str) -> Result<()>;

    /// Deletes a version and the aliases that mean it. Its files stay, which belong to the logged model.
    ///
    /// # Errors
    /// As [`Registry::model_version`].
    fn delete_model_version(&mut self, name: &str, version: u32) -> Result<()>;

    /// Deletes a registered model with its versions, aliases and tags.
    ///
    /// # Errors
    /// [`Error::RegisteredModelNotFound`].
    fn delete_registered_model(&mut self, name: &str) -> Result<()>;
}

/// Which model is meant, as MLflow writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelUri {
    /// `models:/m-...`: a logged model by its id.
    Logged(String),
    /// `models:/NAME/3`: a version of a registered model.
    Version(String, u32),
    /// `models:/NAME@champion`: the version that an alias means.
    Alias(String, String),
    /// `models:/NAME/latest`: the version registered last.
    Latest(String),
    /// `runs:/RUN/model`: a model by its run, and by its name or folder there. `RUN` may be what [`Store::run`] takes.
    OfRun(String, String),
}

impl ModelUri {
    /// Whether a text is meant to be one: it begins with `models:/` or `runs:/`.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("models:/") || text.starts_with("runs:/")
    }
}

impl fmt::Display for ModelUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Logged(id) => write!(f, "models:/{id}"),
            Self::Version(name, version) => write!(f, "models:/{name}/{version}"),
            Self::Alias(name, alias) => write!(f, "models:/{name}@{alias}"),
            Self::Latest(name) => write!(f, "models:/{name}/latest"),
            Self::OfRun(run, path) => write!(f, "runs:/{run}/{path}"),
        }
    }
}

impl FromStr for ModelUri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || Error::Invalid {
            what: "model",
            value: text.to_owned(),
            expected: "expected `models:/NAME/3`, `models:/NAME@alias`, `models:/NAME/latest`, `models:/m-...` or \
                       `runs:/RUN/model`"
                .to_owned(),
        };
        // MLflow takes any number of slashes here.
        let path = |rest: &str| rest.trim_start_matches('/').to_owned();
        if let Some(rest) = text.strip_prefix("runs:/") {
            let rest = path(rest);
            let (run, path) = rest.split_once('/').filter(|(run, _)| !run.is_empty()).ok_or_else(invalid)?;
            let path = path.trim_end_matches('/');
            crate::artifacts::check_path(path).map_err(|_| invalid())?;
            return Ok(Self::OfRun(run.to_owned(), path.to_owned()));
        }
        let rest = path(text.strip_prefix("models:/").ok_or_else(invalid)?);
        if is_model_id(&rest) {
            return Ok(Self::Logged(rest));
        }
        let (name, uri) = if let Some((name, version)) = rest.split_once('/') {
            let uri = match version {
                "latest" => Self::Latest(name.to_owned()),
                digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
                    Self::Version(name.to_owned(), digits.parse().map_err(|_| invalid())?)
                }
                _ => return Err(invalid()),
            };
            (name, uri)
        } else {
            let (name, alias) = rest.rsplit_once('@').ok_or_else(invalid)?;
            limits::check_alias(alias).map_err(|_| invalid())?;
            (name, Self::Alias(name.to_owned(), alias.to_owned()))
        };
        limits::check_registered_name(name).map_err(|_| invalid())?;
        Ok(uri)
    }
}

fn is_model_id(text: &str) -> bool {
    text.strip_prefix("m-").is_some_and(names::is_id)
}

/// Aliases that mean a version.
pub(crate) fn aliases_of(aliases: &BTreeMap<String, u32>, version: u32) -> Vec<String> {
    aliases.iter().filter(|(_, of)| **of == version).map(|(alias, _)| alias.clone()).collect()
}

/// A model in a store.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundModel {
    /// The logged model, unless its files were registered without one.
    pub logged: Option<LoggedModel>,
    /// The version by which it was named.
    pub version: Option<ModelVersion>,
    /// Folder or URI of its files: see [`Store::local_folder`] and [`Store::download_folder`].
    pub location: String,
}

/// Finds the model that is meant.
///
/// # Errors
/// [`Error::RegisteredModelNotFound`], [`Error::ModelVersionNotFound`], [`Error::AliasNotFound`], [`Error::ModelNotFound`], and
/// those of [`Store::run`].
pub fn find_model(store: &mut dyn Store, uri: &ModelUri) -> Result<FoundModel> {
    let (name, version) = match uri {
        ModelUri::Logged(id) => return logged(store, id),
        ModelUri::OfRun(run, path) => return of_run(store, run, path),
        ModelUri::Version(name, version) => (name, *version),
        ModelUri::Alias(name, alias) => {
            let aliases = store.registered_model(name)?.aliases;
            let missing = || Error::AliasNotFound { name: name.clone(), alias: alias.clone() };
            (name, *aliases.get(alias).ok_or_else(missing)?)
        }
        ModelUri::Latest(name) => {
            let last = store.model_versions(name)?.pop();
            (name, last.ok_or_else(|| Error::ModelVersionNotFound { name: name.clone(), version: 1 })?.version)
        }
    };
    let version = store.model_version(name, version)?;
    let logged = version.model_id().map(|id| store.logged_model(id)).transpose();
    let found = match logged {
        Ok(Some(logged)) => {
            FoundModel { location: logged.artifact_location.clone(), logged: Some(logged), version: None }
        }
        // The files may be there still where the logged model is not.
        Ok(None) | Err(Error::ModelNotFound { .. }) => {
            let location = store.model_version_location(name, version.version)?;
            match location.parse() {
                Ok(ModelUri::OfRun(run, path)) => of_run(store, &run, &path)?,
                _ => FoundModel { logged: None, version: None, location },
            }
        }
        Err(error) => return Err(error),
    };
    Ok(FoundModel { version: Some(version), ..found })
}

fn logged(store: &mut dyn Store, id: &str) -> Result<FoundModel> {
    let model = store.logged_model(id)?;
    Ok(FoundModel { location: model.artifact_location.clone(), logged: Some(model), version: None })
}

fn of_run(store: &mut dyn Store, run: &str, path: &str) -> Result<FoundModel> {
    let run = store.run(run)?;
    for id in run.models.keys() {
        match logged(store, id) {
            Ok(found) if found.logged.as_ref().is_some_and(|model| model.name == path) => return Ok(found),
            Ok(_) | Err(Error::ModelNotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    // Older releases kept the files of models among the artifacts of their run.
    if store.list_artifacts(&run.info.id, Some(path))?.is_empty() {
        return Err(Error::ModelNotFound { id: ModelUri::OfRun(run.info.id, path.to_owned()).to_string() });
    }
    let location = format!("{}/{path}", run.info.artifact_uri.trim_end_matches('/'));
    Ok(FoundModel { logged: None, version: None, location })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[rstest]
    #[case("models:/ssh/3", ModelUri::Version("ssh".into(), 3))]
    #[case("models:/ssh/latest", ModelUri::Latest("ssh".into()))]
    #[case("models:///ssh/3", ModelUri::Version("ssh".into(), 3))]
    #[case("models:/ssh brute@force@champion", ModelUri::Alias("ssh brute@force".into(), "champion".into()))]
    #[case("models:/m-1/2", ModelUri::Version("m-1".into(), 2))]
    #[case("runs:/nightly-42/model", ModelUri::OfRun("nightly-42".into(), "model".into()))]
    #[case("runs:/abc/a/b/", ModelUri::OfRun("abc".into(), "a/b".into()))]
    fn ways_to_name_a_model(#[case] text: &str, #[case] expected: ModelUri) {
        assert_eq!(text.parse::<ModelUri>().expect("valid"), expected);
        assert_eq!(expected.to_string().parse::<ModelUri>().expect("valid"), expected);
    }

    #[test]
    fn a_logged_model_is_named_by_its_id() {
        let uri = format!("models:/m-{ID}");
        assert_eq!(uri.parse::<ModelUri>().expect("valid"), ModelUri::Logged(format!("m-{ID}")));
    }

    #[rstest]
    #[case("")]
    #[case("models:/")]
    #[case("models:/ssh")]
    #[case("models:/ssh/Production")]
    #[case("models:/ssh/-1")]
    #[case("models:/ssh/+1")]
    #[case("models:/ssh/99999999999")]
    #[case("models:/ssh/3/x")]
    #[case("models:/@champion")]
    #[case("models:/ssh@v3")]
    #[case("models:/../3")]
    #[case("runs:/abc")]
    #[case("runs:/abc/../model")]
    #[case("ssh/3")]
    fn what_names_no_model(#[case] text: &str) {
        let message = text.parse::<ModelUri>().expect_err("invalid").to_string();
        assert!(message.contains(&format!("model `{text}`")) && message.contains("`models:/NAME@alias`"), "{message}");
    }

    proptest! {
        #[test]
        fn parsing_ends_and_writes_itself(text in "(models:|runs:)?[/@:a-z0-9m.-]{0,20}") {
            if let Ok(uri) = text.parse::<ModelUri>() {
                prop_assert_eq!(uri.to_string().parse::<ModelUri>().expect("valid"), uri);
            }
        }
    }
}
