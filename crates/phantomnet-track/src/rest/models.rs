//! Logged models on a server: found, created once, linked to their run.

use std::collections::BTreeMap;

use serde_json::json;
use ureq::http::Method;

use super::http::{Ask, encoded};
use super::wire::{ModelAnswer, ModelsAnswer, Nothing, pairs};
use super::{RestStore, gone, is_missing};
use crate::entities::{LoggedModel, NewLoggedModel, Run};
use crate::error::{Error, Result};
use crate::limits;
use crate::store::REQUEST_TAG;
use crate::transport::Attempt;

impl RestStore {
    pub(super) fn logged_model_of(&self, model_id: &str) -> Result<LoggedModel> {
        let path = format!("logged-models/{}", encoded(model_id));
        let missing = || Error::ModelNotFound { id: model_id.to_owned() };
        if model_id.is_empty() {
            return Err(missing());
        }
        match self.get::<ModelAnswer>("look up a logged model", &path, &[]) {
            Err(error) if is_missing(&error) => Err(missing()),
            answer => Ok(answer?.model.into()),
        }
    }

    /// Links a model as an output of its run. The server refuses to do so twice, in words of its database.
    pub(super) fn link(&mut self, run_id: &str, model_id: &str, step: i64) -> Result<()> {
        let body = json!({"run_id": run_id, "models": [{"model_id": model_id, "step": step}]});
        match self.post::<Nothing>("link a model to its run", "runs/outputs", &body) {
            Err(error) => {
                let is_linked = self.run_by_id(run_id)?.is_some_and(|run| Run::from(run).models.contains_key(model_id));
                if is_linked { Ok(()) } else { Err(self.explained(run_id, error)) }
            }
            Ok(_) => Ok(()),
        }
    }

    /// Begins a model that is found again by `request_id`, which no other has.
    ///
    /// - `may_exist`: looks for it first.
    pub(crate) fn create_logged_model_as(
        &mut self,
        model: &NewLoggedModel,
        request_id: &str,
        may_exist: bool,
    ) -> Result<LoggedModel> {
        limits::check_new_model(model)?;
        let run = self.active_run(&model.source_run_id)?;
        let mut params = run.params;
        params.extend(model.params.iter().map(|param| (param.key.clone(), param.value.clone())));
        let is_inherited = |key: &str| key == "mlflow.user" || key.starts_with("mlflow.source.");
        let mut tags: BTreeMap<String, String> = run.tags.into_iter().filter(|(key, _)| is_inherited(key)).collect();
        tags.extend(model.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())));
        tags.insert(REQUEST_TAG.to_owned(), request_id.to_owned());
        let mut body = json!({
            "experiment_id": run.info.experiment_id,
            "name": model.name,
            "source_run_id": model.source_run_id,
            "params": pairs(&params),
            "tags": pairs(&tags),
        });
        if let Some(model_type) = &model.model_type {
            body["model_type"] = json!(model_type);
        }
        let lookup = json!({
            "experiment_ids": [run.info.experiment_id],
            "filter": format!("source_run_id = '{}'", model.source_run_id),
            "max_results": 50,
        });
        let of_this_request = || -> Attempt<Vec<LoggedModel>> {
            let answer: ModelsAnswer = self.post_once("look up a logged model", "logged-models/search", &lookup)?;
            let models = answer.models.into_iter().map(LoggedModel::from);
            Ok(models.filter(|model| model.tags.get(REQUEST_TAG).map(String::as_str) == Some(request_id)).collect())
        };
        let created = self.http.retrying(|attempt| {
            if (attempt > 0 || may_exist)
                && let Some(model) = of_this_request()?.pop()
            {
                return Ok(model);
            }
            let answer: ModelAnswer = self.post_once("create a logged model", "logged-models", &body)?;
            Ok(LoggedModel::from(answer.model))
        })?;
        for twin in self.http.retrying(|_| of_this_request())?.iter().filter(|twin| twin.id != created.id) {
            let path = format!("/api/2.0/mlflow/logged-models/{}", encoded(&twin.id));
            let ask = Ask {
                action: "delete a repeated model",
                method: &Method::DELETE,
                path: &path,
                query: &[],
                is_file: false,
            };
            gone(self.http.json::<Nothing>(ask, None))?;
        }
        self.models.insert(created.id.clone());
        self.link(&model.source_run_id, &created.id, model.step)?;
        Ok(created)
    }
}
