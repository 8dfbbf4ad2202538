//! Requests to a tracking server, and what its answers mean.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::{Method, Request, Response};
use ureq::{Body, SendBody};

use super::options::{Credentials, ServerOptions, base_uri, is_local};
use crate::error::{Error, Peer, Result};
use crate::transport::{Attempt, Failed, MAX_COMPLAINT, Transport, is_passing};

/// Most bytes of an answer in JSON. Beyond, it is not read.
const MAX_ANSWER: u64 = 64 << 20;
/// Pages of a list at most: two million runs.
const MAX_PAGES: usize = 2_000;

/// A connection to one server.
pub(super) struct Http {
    transport: Transport,
    authorization: Option<String>,
}

/// A request, without what all have in common.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) action: &'static str,
    pub(super) method: &'static Method,
    /// Below the server's base, parts percent-encoded.
    pub(super) path: &'a str,
    pub(super) query: &'a [(&'static str, &'a str)],
    /// Whether a file of any size goes one way or the other.
    pub(super) is_file: bool,
}

impl Http {
    pub(super) fn new(uri: &str, options: ServerOptions) -> Result<Self> {
        let base = base_uri(uri)?;
        let authorization = options.credentials.as_ref().map(|credentials| match credentials {
            Credentials::Basic { user, password } => {
                format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
            }
            Credentials::Bearer(token) => format!("Bearer {token}"),
        });
        let transport = Transport::new(Peer::TrackingServer, base, options)?;
        Ok(Self { transport, authorization })
    }

    /// Whether the server is on this machine.
    pub(super) fn is_on_this_machine(&self) -> bool {
        is_local(&self.transport.uri)
    }

    /// Tries until an attempt succeeds, cannot succeed, or time or retries run out. `attempt` is given its number, from 0.
    pub(super) fn retrying<T>(&self, attempt: impl FnMut(u32) -> Attempt<T>) -> Result<T> {
        self.transport.retrying(attempt)
    }

    /// A request with a JSON body or none, until it succeeds: for what may be repeated.
    pub(super) fn json<T: DeserializeOwned>(&self, ask: Ask<'_>, body: Option<&Value>) -> Result<T> {
        self.retrying(|_| self.json_once(ask, body))
    }

    /// One attempt of a request with a JSON body or none.
    pub(super) fn json_once<T: DeserializeOwned>(&self, ask: Ask<'_>, body: Option<&Value>) -> Attempt<T> {
        let bytes = body.map(|body| body.to_string().into_bytes());
        let content = bytes.as_deref().map(|bytes| ("application/json", bytes.len() as u64));
        let mut reader = bytes.as_deref().unwrap_or_default();
        let mut response = self.send(ask, content, &mut reader)?;
        let is_json = is_json(&response);
        let bytes = self.read(ask, &mut response, MAX_ANSWER)?;
        if !is_json {
            let what = content_type(&response).unwrap_or("no content type");
            let problem =
                format!("HTTP {} with {} instead of JSON", response.status().as_u16(), crate::error::shown(what));
            return Err(Error::NotMlflow { uri: self.transport.uri.clone(), problem }.into());
        }
        serde_json::from_slice(&bytes).map_err(|error| {
            // Cut off on the way: what is whole may come the next time.
            let retry = error.is_eof().then_some(None);
            let problem = format!("JSON that is not the answer to `{}`: {error}", ask.path);
            Failed { error: Error::NotMlflow { uri: self.transport.uri.clone(), problem }, retry }
        })
    }

    /// Puts a file, as it is when this begins.
    pub(super) fn put_file(&self, ask: Ask<'_>, content_type: &str, path: &Path) -> Result<()> {
        self.retrying(|_| {
            // Opened for each attempt: the last one may have read half of it.
            let file = File::open(path).map_err(Error::io("read", path))?;
            let n_bytes = file.metadata().map_err(Error::io("read", path))?.len();
            let mut reader = file.take(n_bytes);
            self.send(ask, Some((content_type, n_bytes)), &mut reader).map(drop)
        })
    }

    /// Puts bytes.
    pub(super) fn put_bytes(&self, ask: Ask<'_>, content_type: &str, bytes: &[u8]) -> Result<()> {
        self.retrying(|_| self.send(ask, Some((content_type, bytes.len() as u64)), &mut &*bytes).map(drop))
    }

    /// Gets a file: `write` is given its content, of which no more than one byte past `max_bytes` is read, once for each attempt.
    pub(super) fn get_file(
        &self,
        ask: Ask<'_>,
        max_bytes: u64,
        mut write: impl FnMut(&mut dyn Read) -> Result<()>,
    ) -> Result<()> {
        self.retrying(|_| {
            let mut response = self.send(ask, None, &mut std::io::empty())?;
            let reader = response.body_mut().with_config().limit(u64::MAX).reader();
            let mut content = Watched { reader: reader.take(max_bytes.saturating_add(1)), error: None };
            let written = write(&mut content);
            // Writing fails of what reading met, which may go better the next time.
            match content.error {
                Some(error) => Err(self.transport.no_answer(ask.action, &error.into())),
                None => Ok(written?),
            }
        })
    }

    /// All items of a list that the server gives in pages. `page` is given the token of the page, empty for the first, and how many items
    /// there are so far; it gives the page's items and the token of the next, empty after the last.
    ///
    /// # Errors
    /// Those of `page`; [`Error::NotMlflow`] for a list that does not end.
    pub(super) fn pages<T, E: From<Error>>(
        &self,
        mut page: impl FnMut(&str, usize) -> std::result::Result<(Vec<T>, String), E>,
    ) -> std::result::Result<Vec<T>, E> {
        let (mut all, mut token) = (Vec::new(), String::new());
        for _ in 0..MAX_PAGES {
            let (items, next) = page(&token, all.len())?;
            let is_last = next.is_empty() || items.is_empty();
            all.extend(items);
            if is_last {
                return Ok(all);
            }
            token = next;
        }
        let problem = format!("a list of more than {MAX_PAGES} pages");
        Err(Error::NotMlflow { uri: self.transport.uri.clone(), problem }.into())
    }

    /// Sends a request and reads the head of its answer; an answer that is no success is a failure.
    ///
    /// - `content`: type and length of the body that `reader` gives.
    fn send<'r>(
        &self,
        ask: Ask<'_>,
        content: Option<(&str, u64)>,
        reader: &'r mut (dyn Read + 'r),
    ) -> Attempt<Response<Body>> {
        let mut uri = format!("{}{}", self.transport.uri, ask.path);
        for (i, (key, value)) in ask.query.iter().enumerate() {
            uri.push(if i == 0 { '?' } else { '&' });
            uri.push_str(key);
            uri.push('=');
            uri.push_str(&encoded(value));
        }
        let mut request = Request::builder().method(ask.method.clone()).uri(uri);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        if let Some((kind, n_bytes)) = content {
            request = request.header("Content-Type", kind).header("Content-Length", n_bytes);
        }
        let (agent, max_time) = (&self.transport.agent, self.transport.max_time(ask.is_file));
        let answer = if content.is_some() {
            let request = request.body(SendBody::from_reader(reader)).map_err(|_| unusable())?;
            agent.run(agent.configure_request(request).timeout_global(max_time).build())
        } else {
            let request = request.body(()).map_err(|_| unusable())?;
            agent.run(agent.configure_request(request).timeout_global(max_time).build())
        };
        let mut response = answer.map_err(|error| self.transport.no_answer(ask.action, &error))?;
        self.transport.answered();
        if response.status().is_success() { Ok(response) } else { Err(self.complaint(ask, &mut response)) }
    }

    /// The body of an answer, or its first `max_bytes`.
    fn read(&self, ask: Ask<'_>, response: &mut Response<Body>, max_bytes: u64) -> Attempt<Vec<u8>> {
        let mut bytes = Vec::new();
        let reader = response.body_mut().with_config().limit(u64::MAX).reader();
        match reader.take(max_bytes).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(self.transport.no_answer(ask.action, &error.into())),
        }
    }

    /// The failure that an answer without success stands for.
    fn complaint(&self, ask: Ask<'_>, response: &mut Response<Body>) -> Failed {
        #[derive(serde::Deserialize, Default)]
        #[serde(default)]
        struct Complaint {
            error_code: String,
            message: String,
            detail: Value,
        }
        let (uri, action, status) = (self.transport.uri.clone(), ask.action, response.status().as_u16());
        let (is_json, is_html) =
            (is_json(response), content_type(response).is_some_and(|t| t.starts_with("text/html")));
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (location, retry_after) = (header("Location"), header("Retry-After"));
        let bytes = match self.read(ask, response, MAX_COMPLAINT) {
            Ok(bytes) => bytes,
            // Which error it is stands in what was cut off.
            Err(failed) if is_json => return failed,
            // What cannot be read says nothing; the status alone decides.
            Err(_) => Vec::new(),
        };
        let said: Complaint = if is_json { serde_json::from_slice(&bytes).unwrap_or_default() } else { <_>::default() };
        let text = || if is_html { String::new() } else { String::from_utf8_lossy(&bytes).trim().to_owned() };
        let message = match (&said.message, &said.detail) {
            (message, _) if !message.is_empty() => message.clone(),
            (_, Value::String(detail)) => detail.clone(),
            _ if is_json => String::new(),
            _ => text(),
        };
        match status {
            300..=399 => Error::Moved { uri, location: location.unwrap_or_default(), status }.into(),
            401 => Error::Unauthenticated { uri }.into(),
            403 if is_json => Error::Forbidden { uri, action, message }.into(),
            403 => Error::HostRejected { uri, message }.into(),
            503 if said.detail.as_str().is_some_and(|detail| detail.contains("Artifact serving is disabled")) => {
                Error::Refused { action, code: status.to_string(), message }.into()
            }
            _ if is_passing(status) => self.transport.unavailable(action, status, message, retry_after.as_deref()),
            // The API answers in JSON whatever the status.
            _ if !is_json => Error::NotMlflow { uri, problem: format!("HTTP {status} for `{}`", ask.path) }.into(),
            _ => {
                let code = if said.error_code.is_empty() { format!("HTTP {status}") } else { said.error_code };
                Error::Refused { action, code, message }.into()
            }
        }
    }
}

/// Keeps the error that reading ended with.
struct Watched<R> {
    reader: R,
    error: Option<std::io::Error>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.reader.read(buffer).map_err(|error| {
            let told = std::io::Error::from(error.kind());
            if error.kind() != std::io::ErrorKind::Interrupted {
                self.error = Some(error);
            }
            told
        })
    }
}

/// Of what makes up a request, only credentials are not checked before. They are not repeated.
fn unusable() -> Error {
    let problem = "they hold a character that no HTTP header can".to_owned();
    Error::ServerOption { option: "credentials".to_owned(), problem }
}

fn content_type(response: &Response<Body>) -> Option<&str> {
    response.headers().get("Content-Type")?.to_str().ok()
}

fn is_json(response: &Response<Body>) -> bool {
    content_type(response).is_some_and(|kind| kind.split(';').next().is_some_and(|kind| kind.trim().ends_with("json")))
}

/// What stands for itself in a part of a path and in a value of a query.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Percent-encoded, so that it is one part of a path or one value of a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PART).to_string()
}
