//! Registered models on a server.

use serde_json::{Value, json};
use ureq::http::Method;

use super::http::Ask;
use super::wire::{
    LocationAnswer, Nothing, RegisteredModelAnswer, RegisteredModelsAnswer, VersionAnswer, VersionsAnswer, pairs,
};
use super::{PAGE, RestStore, is_missing};
use crate::entities::Tag;
use crate::error::{Error, Result};
use crate::registry::{ModelVersion, NewModelVersion, RegisteredModel, Registry, aliases_of};
use crate::store::{REQUEST_TAG, Store};
use crate::transport::{Attempt, Failed};
use crate::{limits, names};

impl RestStore {
    /// Changes what there must be: the server's own words for what is missing differ between calls and releases.
    fn change(&mut self, method: &'static Method, action: &'static str, call: &str, body: &Value) -> Result<()> {
        self.http.retrying(|_| self.call::<Nothing>(method, action, call, body)).map(drop)
    }

    fn require_registered(&self, name: &str) -> Result<RegisteredModel> {
        let missing = || Error::RegisteredModelNotFound { name: name.to_owned() };
        // A server refuses in other words to look for what cannot be a name.
        limits::check_registered_name(name).map_err(|_| missing())?;
        match self.get::<RegisteredModelAnswer>("find a registered model", "registered-models/get", &[("name", name)]) {
            Err(error) if is_missing(&error) => Err(missing()),
            answer => Ok(answer?.registered_model.into()),
        }
    }

    fn create_registered(&self, name: &str) -> Result<()> {
        match self.require_registered(name) {
            Err(Error::RegisteredModelNotFound { .. }) => {}
            found => return found.map(drop),
        }
        let body = json!({"name": name});
        match self.post::<Nothing>("create a registered model", "registered-models/create", &body) {
            // Someone else was faster, or we were and did not hear of it.
            Err(Error::Refused { code, .. }) if code == "RESOURCE_ALREADY_EXISTS" => Ok(()),
            created => created.map(drop),
        }
    }

    fn versions_once(&self, name: &str) -> Attempt<Vec<ModelVersion>> {
        let quote = if name.contains('\'') { '"' } else { '\'' };
        let filter = format!("name = {quote}{name}{quote}");
        let max_results = PAGE.to_string();
        let mut versions = self.http.pages(|token, _| {
            let mut query = vec![("filter", filter.as_str()), ("max_results", max_results.as_str())];
            query.extend(Some(("page_token", token)).filter(|_| !token.is_empty()));
            let ask = Ask {
                action: "list the versions of a model",
                method: &Method::GET,
                path: "/api/2.0/mlflow/model-versions/search",
                query: &query,
                is_file: false,
            };
            let answer: VersionsAnswer = self.http.json_once(ask, None)?;
            let versions = answer.model_versions.into_iter().map(ModelVersion::from).collect();
            Ok::<_, Failed>((versions, answer.next_page_token))
        })?;
        versions.retain(|version: &ModelVersion| version.name == name);
        versions.sort_by_key(|version| version.version);
        Ok(versions)
    }

    /// Registers a version that is found again by `request_id`, which no other has.
    ///
    /// - `may_exist`: looks for it first.
    pub(crate) fn create_model_version_as(
        &mut self,
        new: &NewModelVersion,
        request_id: &str,
        may_exist: bool,
    ) -> Result<ModelVersion> {
        limits::check_new_version(new)?;
        let logged = self.logged_model(&new.model_id)?;
        self.create_registered(&new.name)?;
        let mut tags: std::collections::BTreeMap<&str, &str> =
            new.tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect();
        tags.insert(REQUEST_TAG, request_id);
        let mut body = json!({
            "name": new.name,
            "source": format!("models:/{}", logged.id),
            "model_id": logged.id,
            "description": new.description,
            "tags": pairs(tags),
        });
        if let Some(run_id) = &logged.source_run_id {
            body["run_id"] = json!(run_id);
        }
        let of_this_request = || -> Attempt<Vec<ModelVersion>> {
            let mut versions = self.versions_once(&new.name)?;
            versions.retain(|version| version.tags.get(REQUEST_TAG).map(String::as_str) == Some(request_id));
            Ok(versions)
        };
        let created = self.http.retrying(|attempt| {
            if (attempt > 0 || may_exist)
                && let Some(version) = of_this_request()?.into_iter().next()
            {
                return Ok(version);
            }
            let answer: VersionAnswer = self.call(&Method::POST, "register a model", "model-versions/create", &body)?;
            Ok(ModelVersion::from(answer.model_version))
        })?;
        // What something on the way repeated goes; the first stays.
        let mut of_request = self.http.retrying(|_| of_this_request())?.into_iter();
        let mut created = of_request.next().unwrap_or(created);
        for twin in of_request {
            match self.delete_model_version(&new.name, twin.version) {
                Err(Error::ModelVersionNotFound { .. }) => {}
                deleted => deleted?,
            }
        }
        created.aliases = aliases_of(&self.require_registered(&new.name)?.aliases, created.version);
        Ok(created)
    }
}

impl Registry for RestStore {
    fn registered_models(&mut self) -> Result<Vec<RegisteredModel>> {
        let max_results = PAGE.to_string();
        let mut models = self.http.pages(|token, _| {
            let mut query = vec![("max_results", max_results.as_str())];
            query.extend(Some(("page_token", token)).filter(|_| !token.is_empty()));
            let answer: RegisteredModelsAnswer =
                self.get("list registered models", "registered-models/search", &query)?;
            let models = answer.registered_models.into_iter().map(RegisteredModel::from).collect();
            Ok::<_, Error>((models, answer.next_page_token))
        })?;
        models.sort_by(|a: &RegisteredModel, b| a.name.cmp(&b.name));
        Ok(models)
    }

    fn registered_model(&mut self, name: &str) -> Result<RegisteredModel> {
        self.require_registered(name)
    }

    fn create_model_version(&mut self, version: NewModelVersion) -> Result<ModelVersion> {
        self.create_model_version_as(&version, &names::new_id()?, false)
    }

    fn create_model_version_once(&mut self, version: NewModelVersion, key: &str) -> Result<ModelVersion> {
        limits::check_request_key(key)?;
        self.create_model_version_as(&version, key, true)
    }

    fn model_versions(&mut self, name: &str) -> Result<Vec<ModelVersion>> {
        let aliases = self.require_registered(name)?.aliases;
        let mut versions = self.http.retrying(|_| self.versions_once(name))?;
        for version in &mut versions {
            version.aliases = aliases_of(&aliases, version.version);
        }
        Ok(versions)
    }

    fn model_version(&mut self, name: &str, version: u32) -> Result<ModelVersion> {
        let aliases = self.require_registered(name)?.aliases;
        let number = version.to_string();
        let query = [("name", name), ("version", number.as_str())];
        match self.get::<VersionAnswer>("find a version of a model", "model-versions/get", &query) {
            Err(error) if is_missing(&error) => Err(Error::ModelVersionNotFound { name: name.to_owned(), version }),
            answer => {
                let found = ModelVersion::from(answer?.model_version);
                Ok(ModelVersion { aliases: aliases_of(&aliases, version), ..found })
            }
        }
    }

    fn model_version_location(&mut self, name: &str, version: u32) -> Result<String> {
        let source = self.model_version(name, version)?.source;
        let number = version.to_string();
        let query = [("name", name), ("version", number.as_str())];
        let answer: LocationAnswer =
            self.get("find a version of a model", "model-versions/get-download-uri", &query)?;
        Ok(Some(answer.artifact_uri).filter(|uri| !uri.is_empty()).unwrap_or(source))
    }

    fn set_alias(&mut self, name: &str, alias: &str, version: u32) -> Result<()> {
        limits::check_alias(alias)?;
        self.model_version(name, version)?;
        let body = json!({"name": name, "alias": alias, "version": version.to_string()});
        self.change(&Method::POST, "set an alias", "registered-models/alias", &body)
    }

    fn delete_alias(&mut self, name: &str, alias: &str) -> Result<()> {
        if self.require_registered(name)?.aliases.contains_key(alias) {
            let body = json!({"name": name, "alias": alias});
            self.change(&Method::DELETE, "delete an alias", "registered-models/alias", &body)?;
        }
        Ok(())
    }

    fn tag_registered_model(&mut self, name: &str, tag: &Tag) -> Result<()> {
        limits::check_registry_tag(tag)?;
        self.require_registered(name)?;
        let body = json!({"name": name, "key": tag.key, "value": tag.value});
        self.change(&Method::POST, "tag a registered model", "registered-models/set-tag", &body)
    }

    fn untag_registered_model(&mut self, name: &str, key: &str) -> Result<()> {
        let body = json!({"name": name, "key": key});
        self.http.retrying(|_| {
            if !self.require_registered(name)?.tags.contains_key(key) {
                return Ok(());
            }
            let action = "delete a tag of a registered model";
            self.call::<Nothing>(&Method::DELETE, action, "registered-models/delete-tag", &body).map(drop)
        })
    }

    fn tag_model_version(&mut self, name: &str, version: u32, tag: &Tag) -> Result<()> {
        limits::check_registry_tag(tag)?;
        self.model_version(name, version)?;
        let body = json!({"name": name, "version": version.to_string(), "key": tag.key, "value": tag.value});
        self.change(&Method::POST, "tag a version of a model", "model-versions/set-tag", &body)
    }

    fn describe_model(&mut self, name: &str, version: Option<u32>, description: &str) -> Result<()> {
        limits::check_description(description)?;
        let mut body = json!({"name": name, "description": description});
        let call = match version {
            None => {
                self.require_registered(name)?;
                "registered-models/update"
            }
            Some(version) => {
                self.model_version(name, version)?;
                body["version"] = json!(version.to_string());
                "model-versions/update"
            }
        };
        self.change(&Method::PATCH, "describe a model", call, &body)
    }

    fn delete_model_version(&mut self, name: &str, version: u32) -> Result<()> {
        // Servers of 3.10 leave the aliases, which would then mean nothing.
        for alias in self.model_version(name, version)?.aliases {
            self.delete_alias(name, &alias)?;
        }
        let body = json!({"name": name, "version": version.to_string()});
        match self.change(&Method::DELETE, "delete a version of a model", "model-versions/delete", &body) {
            // It was there a moment ago: the answer to deleting it was lost.
            Err(error) if is_missing(&error) => Ok(()),
            deleted => deleted,
        }
    }

    fn delete_registered_model(&mut self, name: &str) -> Result<()> {
        self.require_registered(name)?;
        let body = json!({"name": name});
        match self.change(&Method::DELETE, "delete a registered model", "registered-models/delete", &body) {
            Err(error) if is_missing(&error) => Ok(()),
            deleted => deleted,
        }
    }
}
