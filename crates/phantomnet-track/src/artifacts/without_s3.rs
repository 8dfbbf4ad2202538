//! What stands for object stores in a build without them.

use super::Place;
use crate::error::{Error, Result};
use crate::rest::ServerOptions;

/// No object stores.
pub(crate) struct ObjectStores;

impl ObjectStores {
    pub(crate) fn new(_options: &ServerOptions) -> Self {
        Self
    }

    pub(crate) fn place(&self, location: &str) -> Result<Box<dyn Place>> {
        Err(Error::ArtifactLocation { location: location.to_owned() })
    }
}
