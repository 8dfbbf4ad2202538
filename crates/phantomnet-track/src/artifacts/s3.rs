//! Artifacts in an object store that speaks S3's protocol.
//!
//! The library signs requests and reads answers. Requests are sent by the client that tracking servers are asked with, and repeated
//! here: the library sees one attempt of each, reads no environment and asks nobody for credentials.
//!
//! What is under a key is always a whole file: a small one is put at once, a larger one in parts that become a file when all are there.
//! A file is read in ranges, all of the version that the first one was of. No more than one part or range is in memory.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::future::{Future, poll_fn};
use std::io::{self, Read};
use std::iter::successors;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use bytes::{Buf, Bytes};
use http_body::Body;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpService,
};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as Key;
use object_store::{
    Attribute, Attributes, ClientOptions, GetOptions, GetRange, ListResult, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, RetryConfig,
};
use ureq::http::{Method, Request, Uri, header};
use ureq::{AsSendBody, SendBody};
use url::Url;

use super::{Place, S3Addressing, S3Credentials, S3Options, Write, check_listed, content_type, open_file, pass};
use crate::entities::ArtifactEntry;
use crate::error::{Error, Peer, Result};
use crate::rest::{ServerOptions, base_uri};
use crate::transport::{Attempt, Failed, MAX_COMPLAINT, Transport, is_passing};

/// Bytes of a part and of a range. Larger parts are taken where there would be more than [`MAX_PARTS`].
const PART: u64 = 16 << 20;
const MAX_PARTS: u64 = 10_000;
/// Most bytes of an answer. Beyond, it is not read.
const MAX_ANSWER: u64 = 64 << 20;

/// The object stores that artifact locations may name.
pub(crate) struct ObjectStores {
    options: ServerOptions,
    /// Made when the first location is in an object store.
    transport: OnceCell<Arc<Transport>>,
}

impl ObjectStores {
    pub(crate) fn new(options: &ServerOptions) -> Self {
        Self { options: options.clone(), transport: OnceCell::new() }
    }

    /// The place of a location `s3://bucket/path`.
    ///
    /// # Errors
    /// [`Error::ArtifactLocation`], [`Error::NoObjectStoreCredentials`], [`Error::ServerOption`].
    pub(crate) fn place(&self, location: &str) -> Result<Box<dyn Place>> {
        let unsupported = || Error::ArtifactLocation { location: location.to_owned() };
        let (bucket, prefix) = bucket_and_prefix(location).ok_or_else(unsupported)?;
        let s3 = &self.options.s3;
        let credentials =
            s3.credentials.as_ref().ok_or_else(|| Error::NoObjectStoreCredentials { location: location.to_owned() })?;
        check_credentials(credentials)?;
        let region = s3.region.as_deref().unwrap_or("us-east-1");
        let address = address(s3, region, bucket)?;
        let transport = self.transport(endpoint(s3, region)?)?;
        let mut builder = AmazonS3Builder::new()
            .with_http_connector(Connector(Arc::clone(&transport)))
            // One attempt: those after it are ours.
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .with_bucket_name(bucket)
            .with_region(region)
            .with_endpoint(address)
            // The bucket is in the address already, wherever it goes.
            .with_virtual_hosted_style_request(true)
            .with_access_key_id(&credentials.access_key_id)
            .with_secret_access_key(&credentials.secret_access_key);
        if let Some(token) = &credentials.session_token {
            builder = builder.with_token(token);
        }
        let store = builder.build().map_err(|error| option_error("object store", &error.to_string()))?;
        Ok(Box::new(S3 { store, transport, bucket: bucket.to_owned(), prefix: prefix.to_owned() }))
    }

    fn transport(&self, uri: Url) -> Result<Arc<Transport>> {
        if let Some(transport) = self.transport.get() {
            return Ok(Arc::clone(transport));
        }
        let s3 = &self.options.s3;
        let options = ServerOptions {
            credentials: None,
            insecure_tls: s3.insecure_tls,
            ca_bundle: s3.ca_bundle.clone().filter(|_| !s3.insecure_tls),
            client_certificate: None,
            proxy: s3.proxy.clone(),
            ..self.options.clone()
        };
        let uri = uri.as_str().trim_end_matches('/').to_owned();
        let transport = Transport::new(Peer::ObjectStore, uri, options)?;
        Ok(Arc::clone(self.transport.get_or_init(|| Arc::new(transport))))
    }
}

/// Bucket and path of `s3://bucket/path`; `None` for what the library could not spell the same.
fn bucket_and_prefix(location: &str) -> Option<(&str, &str)> {
    let rest = location.strip_prefix("s3://").filter(|rest| !rest.contains(['?', '#']))?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_bucket = !bucket.is_empty() && bucket.len() <= 255 && bucket.chars().all(is_name);
    let is_prefix = Key::parse(prefix).is_ok_and(|key| key.as_ref() == prefix);
    (is_bucket && is_prefix).then_some((bucket, prefix))
}

/// Where the store is, without the bucket.
fn endpoint(options: &S3Options, region: &str) -> Result<Url> {
    if !region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') || region.is_empty() {
        return Err(option_error("AWS_DEFAULT_REGION", "expected a region such as `eu-central-1`"));
    }
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    let uri = match &options.endpoint {
        Some(endpoint) => endpoint.clone(),
        None => format!("https://s3.{region}.amazonaws.com{china}"),
    };
    // It may hold a password: not repeated.
    let invalid = || option_error("MLFLOW_S3_ENDPOINT_URL", "expected `http://host:port` or `https://host`");
    base_uri(&uri).map_err(|_| invalid())?;
    Url::parse(&uri).ok().filter(|uri| matches!(uri.scheme(), "http" | "https")).ok_or_else(invalid)
}

/// Where the bucket is, without a slash at its end.
fn address(options: &S3Options, region: &str, bucket: &str) -> Result<String> {
    let mut address = endpoint(options, region)?;
    let is_virtual = match options.addressing {
        // A dot would be one too many for the store's certificate.
        S3Addressing::Auto => {
            let is_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            options.endpoint.is_none() && bucket.len() <= 63 && bucket.chars().all(is_label)
        }
        S3Addressing::Path => false,
        S3Addressing::Virtual => true,
    };
    if is_virtual {
        let host = format!("{bucket}.{}", address.host_str().unwrap_or_default());
        let done = address.set_host(Some(&host)).is_ok() && address.host_str().is_some_and(|set| set == host);
        if !done {
            let problem = "the bucket's name cannot be in the store's host name; use `path`";
            return Err(option_error("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE", problem));
        }
        return Ok(address.as_str().trim_end_matches('/').to_owned());
    }
    Ok(format!("{}/{bucket}", address.as_str().trim_end_matches('/')))
}

/// They go into headers, where the library takes for granted that they can.
fn check_credentials(credentials: &S3Credentials) -> Result<()> {
    let S3Credentials { access_key_id, secret_access_key, session_token } = credentials;
    for (option, value) in [
        ("AWS_ACCESS_KEY_ID", Some(access_key_id)),
        ("AWS_SECRET_ACCESS_KEY", Some(secret_access_key)),
        ("AWS_SESSION_TOKEN", session_token.as_ref()),
    ] {
        if value.is_some_and(|value| !value.chars().all(|c| c.is_ascii_graphic())) {
            return Err(option_error(option, "it holds a space or another character that no key has"));
        }
    }
    Ok(())
}

fn option_error(option: &str, problem: &str) -> Error {
    Error::ServerOption { option: option.to_owned(), problem: problem.to_owned() }
}

/// What is below a prefix of the keys of a bucket.
struct S3 {
    store: AmazonS3,
    transport: Arc<Transport>,
    bucket: String,
    /// Without a slash at its end.
    prefix: String,
}

impl S3 {
    fn key(&self, path: &str) -> Result<Key> {
        let key = if self.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) };
        Key::parse(&key).map_err(|error| Error::Invalid {
            what: "artifact path",
            value: path.to_owned(),
            expected: error.to_string(),
        })
    }

    /// Tries until an attempt succeeds, cannot succeed, or time or retries run out.
    fn ask<T, F: Future<Output = object_store::Result<T>>>(
        &self,
        action: &'static str,
        attempt: impl Fn() -> F,
    ) -> Result<T> {
        self.transport.retrying(|_| self.once(action, attempt()))
    }

    fn once<T>(&self, action: &'static str, attempt: impl Future<Output = object_store::Result<T>>) -> Attempt<T> {
        block_on(attempt).map_err(|error| self.failed(action, &error))
    }

    /// What an error of the library is to us.
    fn failed(&self, action: &'static str, error: &object_store::Error) -> Failed {
        let uri = self.transport.uri.clone();
        if let Some(Complaint { status, code, message, retry_after }) = cause::<Complaint>(error) {
            // Of a connection that was too slow for it, the store says so with the status of a refusal.
            if is_passing(*status) || code == "RequestTimeout" {
                let message = [code.as_str(), message].join(if message.is_empty() { "" } else { ": " });
                return self.transport.unavailable(action, *status, message, retry_after.as_deref());
            }
            let (uri, code, message) = (format!("{uri}/{}", self.bucket), code.clone(), message.clone());
            return Error::ObjectStoreRefused { uri, action, status: *status, code, message }.into();
        }
        match cause::<ureq::Error>(error) {
            Some(error) => self.transport.no_answer(action, error),
            None => Error::NotAnObjectStore { uri, problem: error.to_string() }.into(),
        }
    }

    fn put(&self, key: &Key, bytes: Bytes) -> Result<()> {
        let options = PutOptions { attributes: attributes(key), ..PutOptions::default() };
        let payload = PutPayload::from(bytes);
        self.ask(WRITE, || self.store.put_opts(key, payload.clone(), options.clone())).map(drop)
    }

    /// Puts a file in parts. Nobody sees it before the last is there.
    ///
    /// - `part`: bytes of each part but the last.
    fn put_parts(&self, key: &Key, file: File, part: u64, source: &Path) -> Result<()> {
        let options = PutMultipartOptions { attributes: attributes(key), ..PutMultipartOptions::default() };
        let id = self.ask(WRITE, || self.store.create_multipart_opts(key, options.clone()))?;
        let put = self.send_parts(key, &id, file, part, source);
        if put.is_err() {
            // The first failure is the one to report. Parts that are left are the store's to clear away.
            let _ = block_on(self.store.abort_multipart(key, &id));
        }
        put
    }

    fn send_parts(&self, key: &Key, id: &String, mut file: File, part: u64, source: &Path) -> Result<()> {
        let (mut parts, mut n_bytes) = (Vec::<PartId>::new(), 0);
        loop {
            let payload = PutPayload::from(next(&mut file, part, source)?);
            if payload.content_length() == 0 {
                break;
            }
            n_bytes += payload.content_length() as u64;
            parts.push(self.ask(WRITE, || self.store.put_part(key, id, parts.len(), payload.clone()))?);
        }
        self.transport.retrying(|n| {
            match self.once(WRITE, self.store.complete_multipart(key, id, parts.clone())) {
                // The answer to an attempt before was lost: the parts are a file already.
                Err(Failed { error: Error::ObjectStoreRefused { code, .. }, .. })
                    if n > 0 && code == "NoSuchUpload" && self.size(key).is_ok_and(|size| size == n_bytes) =>
                {
                    Ok(())
                }
                done => done.map(drop),
            }
        })
    }

    fn size(&self, key: &Key) -> Result<u64> {
        let options = || GetOptions { head: true, ..GetOptions::default() };
        self.ask(WRITE, || self.store.get_opts(key, options())).map(|found| found.meta.size)
    }

    /// A range of a file, and what the file is; `None` if there is none.
    ///
    /// - `version`: what the file was when an earlier range was read.
    fn range(&self, key: &Key, start: u64, n_bytes: u64, version: Option<&ObjectMeta>) -> Result<Option<Ranged>> {
        let get = || async {
            let range = GetRange::Bounded(start..start.saturating_add(n_bytes));
            let if_match = version.and_then(|version| version.e_tag.clone());
            let options = GetOptions { range: Some(range), if_match, ..GetOptions::default() };
            let found = self.store.get_opts(key, options).await?;
            let meta = found.meta.clone();
            Ok(Ranged { bytes: found.bytes().await?, meta: Some(meta) })
        };
        match self.ask("read an artifact", get) {
            Err(Error::ObjectStoreRefused { code, .. }) if code == "NoSuchKey" => Ok(None),
            // An empty file has no range.
            Err(Error::ObjectStoreRefused { status: 416, .. }) if start == 0 => Ok(Some(Ranged::default())),
            found => found.map(Some),
        }
    }

    /// All that is below `folder`, or directly in it: given in pages to `add`, which is told the prefix of their keys.
    fn list_pages(
        &self,
        folder: Option<&str>,
        delimiter: Option<&'static str>,
        mut add: impl FnMut(ListResult, &str) -> Result<()>,
    ) -> Result<()> {
        let parts = [Some(self.prefix.as_str()).filter(|prefix| !prefix.is_empty()), folder];
        let prefix: String = parts.into_iter().flatten().flat_map(|part| [part, "/"]).collect();
        let mut page_token = None;
        loop {
            let options = || PaginatedListOptions {
                delimiter: delimiter.map(Into::into),
                page_token: page_token.clone(),
                ..PaginatedListOptions::default()
            };
            let of = Some(prefix.as_str()).filter(|prefix| !prefix.is_empty());
            let page = self.ask("list artifacts", || self.store.list_paginated(of, options()))?;
            let is_empty = page.result.objects.is_empty() && page.result.common_prefixes.is_empty();
            add(page.result, &prefix)?;
            // A store that answers pages without items would keep us for ever.
            match page.page_token {
                Some(token) if !is_empty => page_token = Some(token),
                _ => return Ok(()),
            }
        }
    }
}

const WRITE: &str = "write an artifact";

/// The next bytes of a file, `n_bytes` unless it ends.
fn next(file: &mut File, n_bytes: u64, source: &Path) -> Result<Bytes> {
    let mut bytes = Vec::with_capacity(usize::try_from(n_bytes).unwrap_or(0));
    file.take(n_bytes).read_to_end(&mut bytes).map_err(Error::io("read", source))?;
    Ok(bytes.into())
}

fn attributes(key: &Key) -> Attributes {
    Attributes::from_iter([(Attribute::ContentType, content_type(key.as_ref()))])
}

/// The path of what a listing gave, from the place: below `prefix`, `None` if it is the prefix itself, marked as a folder.
fn listed<'a>(key: &'a Key, prefix: &str) -> Option<&'a str> {
    key.as_ref().strip_prefix(prefix).filter(|path| !path.is_empty())
}

impl Place for S3 {
    fn location(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }

    fn put_file(&self, path: &str, source: &Path) -> Result<()> {
        let key = self.key(path)?;
        let mut file = open_file(source)?;
        let n_bytes = file.metadata().map_err(Error::io("read", source))?.len();
        if n_bytes <= PART {
            let bytes = next(&mut file, n_bytes, source)?;
            return self.put(&key, bytes);
        }
        self.put_parts(&key, file, n_bytes.div_ceil(MAX_PARTS).max(PART), source)
    }

    fn put_bytes(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.put(&self.key(path)?, Bytes::copy_from_slice(bytes))
    }

    fn list(&self, folder: Option<&str>) -> Result<Vec<ArtifactEntry>> {
        let mut entries = Vec::new();
        self.list_pages(folder, Some("/"), |page, prefix| {
            let path = |key: &Key| {
                let name = listed(key, prefix)?;
                Some(folder.map_or_else(|| name.to_owned(), |folder| format!("{folder}/{name}")))
            };
            let files = page.objects.iter().map(|file| (&file.location, false, file.size));
            let folders = page.common_prefixes.iter().map(|folder| (folder, true, 0));
            entries.extend(
                files
                    .chain(folders)
                    .filter_map(|(key, is_dir, n_bytes)| Some(ArtifactEntry { path: path(key)?, is_dir, n_bytes })),
            );
            Ok(())
        })?;
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    fn files(&self) -> Result<Vec<String>> {
        let mut files = Vec::new();
        self.list_pages(None, None, |page, prefix| {
            for path in page.objects.iter().filter_map(|file| listed(&file.location, prefix)) {
                check_listed(files.len(), path, &self.location())?;
                files.push(path.to_owned());
            }
            Ok(())
        })?;
        Ok(files)
    }

    fn fetch(&self, path: &str, max_bytes: u64, write: Write<'_>) -> Result<Option<u64>> {
        let key = self.key(path)?;
        let Some(first) = self.range(&key, 0, max_bytes.saturating_add(1).min(PART), None)? else {
            return Ok(None);
        };
        if first.meta.as_ref().is_some_and(|meta| meta.size > max_bytes) {
            return Err(Error::ArtifactTooLarge { path: path.to_owned(), max_bytes });
        }
        let n_read = first.bytes.len() as u64;
        let mut content = Content { place: self, key: &key, bytes: first.bytes, n_read, meta: first.meta, error: None };
        let written = pass(&mut content, path, max_bytes, write);
        match content.error {
            // Writing fails of what reading met.
            Some(error) => Err(error),
            None => written.map(Some),
        }
    }
}

/// A part of a file, and what the file is; none of an empty one.
#[derive(Default)]
struct Ranged {
    bytes: Bytes,
    meta: Option<ObjectMeta>,
}

/// The content of a file, a range after the other.
struct Content<'a> {
    place: &'a S3,
    key: &'a Key,
    /// Read and not yet taken.
    bytes: Bytes,
    n_read: u64,
    meta: Option<ObjectMeta>,
    error: Option<Error>,
}

impl Content<'_> {
    /// The range after what was read; nothing at the end.
    fn next(&self) -> Result<Bytes> {
        let Some(meta) = self.meta.as_ref().filter(|meta| self.n_read < meta.size) else { return Ok(Bytes::new()) };
        match self.place.range(self.key, self.n_read, PART, Some(meta))? {
            Some(next) if !next.bytes.is_empty() => Ok(next.bytes),
            _ => {
                let problem = format!("`{}` ends before its size", self.key);
                Err(Error::NotAnObjectStore { uri: self.place.transport.uri.clone(), problem })
            }
        }
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() {
            self.bytes = self.next().map_err(|error| {
                self.error = Some(error);
                io::Error::other("it cannot be read")
            })?;
            self.n_read += self.bytes.len() as u64;
        }
        let n = buffer.len().min(self.bytes.len());
        self.bytes.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}

/// An answer that is no success.
#[derive(Debug, thiserror::Error)]
#[error("HTTP {status}: {code}")]
struct Complaint {
    status: u16,
    /// Such as `NoSuchKey`, or the status.
    code: String,
    message: String,
    retry_after: Option<String>,
}

/// The cause of an error that is of this type.
fn cause<'e, T: std::error::Error + 'static>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e T> {
    successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

/// Sends the library's requests.
struct Connector(Arc<Transport>);

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector(..)")
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Self(Arc::clone(&self.0))))
    }
}

#[async_trait::async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        let (mut head, body) = request.into_parts();
        head.uri = strictly_encoded(&head.uri);
        let chunks = chunks(body).await?;
        // An answer that is no success is an error with all that it says. Of the kind of an error the library makes whether it repeats
        // the request, which it may not.
        let unknown = |source| HttpError::new_boxed(HttpErrorKind::Unknown, source);
        let is_file = head.method == Method::PUT || head.headers.contains_key(header::RANGE);
        let answer = if matches!(head.method, Method::PUT | Method::POST) {
            let mut request = Request::from_parts(head, ());
            let n_bytes = chunks.iter().map(Bytes::len).sum::<usize>();
            request.headers_mut().insert(header::CONTENT_LENGTH, n_bytes.into());
            let mut reader = Chunks(chunks);
            self.send(request.map(|()| SendBody::from_reader(&mut reader)), is_file)
        } else {
            self.send(Request::from_parts(head, ()), is_file)
        };
        answer.map_err(unknown)
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Connector {
    /// One request, and the whole of its answer.
    fn send(&self, request: Request<impl AsSendBody>, is_file: bool) -> std::result::Result<HttpResponse, Cause> {
        let Self(transport) = self;
        let is_post = request.method() == Method::POST;
        let request = transport.agent.configure_request(request).timeout_global(transport.max_time(is_file)).build();
        let (head, mut body) = transport.agent.run(request)?.into_parts();
        transport.answered();
        let is_success = head.status.is_success();
        let limit = if is_success { MAX_ANSWER } else { MAX_COMPLAINT };
        let n_bytes = body.content_length().unwrap_or(0).min(PART);
        let mut bytes = Vec::with_capacity(usize::try_from(n_bytes).unwrap_or(0));
        match body.with_config().limit(limit).reader().read_to_end(&mut bytes) {
            Err(error) if is_success => return Err(Box::new(ureq::Error::from(error))),
            // What cannot be read says nothing; the status alone decides.
            _ => {}
        }
        let text = String::from_utf8_lossy(if is_success && !is_post { &[] } else { &bytes });
        // While the parts of a large file are joined, a store has said already that it went well.
        let status = match head.status.as_u16() {
            _ if is_success && text.contains("<Error>") => 500,
            status => status,
        };
        if is_success && status != 500 {
            return Ok(HttpResponse::from_parts(head, bytes.into()));
        }
        let code = element(&text, "Code").unwrap_or_else(|| format!("HTTP {status}"));
        let message = element(&text, "Message").unwrap_or_default();
        let retry_after =
            head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Err(Box::new(Complaint { status, code, message, retry_after }))
    }
}

/// The URI with its query encoded as it was for the signature: the library writes it like that of a form, which not every store takes
/// for the same.
fn strictly_encoded(uri: &Uri) -> Uri {
    let text = uri.to_string();
    let Some((path, query)) = text.split_once('?') else { return uri.clone() };
    let query = query.replace('+', "%20").replace('*', "%2A").replace("%7E", "~");
    format!("{path}?{query}").parse().unwrap_or_else(|_| uri.clone())
}

/// Text of the first element of this name.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once("</")?;
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    Some(entities.iter().fold(text.to_owned(), |text, (entity, c)| text.replace(entity, c)))
}

/// The pieces of a request's body, which are in memory already.
async fn chunks(body: HttpRequestBody) -> std::result::Result<VecDeque<Bytes>, HttpError> {
    let mut body = pin!(body);
    let mut chunks = VecDeque::new();
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        chunks.extend(frame?.into_data().ok());
    }
    Ok(chunks)
}

struct Chunks(VecDeque<Bytes>);

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.0.front().is_some_and(Bytes::is_empty) {
            self.0.pop_front();
        }
        let Some(first) = self.0.front_mut() else { return Ok(0) };
        let n = buffer.len().min(first.len());
        first.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}

/// Runs a future of the library on this thread. All its waiting is for the transport, which blocks: no runtime is needed, and none that
/// the caller may be in is disturbed.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("s3://bucket", "bucket", "")]
    #[case("s3://bucket/", "bucket", "")]
    #[case("s3://my.bucket-1/a/b", "my.bucket-1", "a/b")]
    #[case("s3://bucket/a b/", "bucket", "a b")]
    #[case("s3://bucket/50%25/ü", "bucket", "50%25/ü")]
    fn locations(#[case] location: &str, #[case] bucket: &str, #[case] prefix: &str) {
        assert_eq!(bucket_and_prefix(location), Some((bucket, prefix)));
    }

    #[rstest]
    #[case("s3://")]
    #[case("s3:///a")]
    #[case("s3://user@bucket/a")]
    #[case("s3://bucket:80/a")]
    #[case("s3://arn:aws:s3:us-west-2:123456789012:accesspoint/a")]
    #[case("s3://bucket/a//b")]
    #[case("s3://bucket//a")]
    #[case("s3://bucket/../a")]
    #[case("s3://bucket/a?b")]
    #[case("s3://bucket/a#b")]
    #[case("s3://bucket/\u{1}")]
    fn other_locations(#[case] location: &str) {
        assert_eq!(bucket_and_prefix(location), None);
        let error = ObjectStores::new(&ServerOptions::default()).place(location).err().expect("refused");
        assert!(matches!(error, Error::ArtifactLocation { .. }), "{error}");
    }

    #[rstest]
    #[case(None, S3Addressing::Auto, "bucket", "https://bucket.s3.eu-west-1.amazonaws.com")]
    #[case(None, S3Addressing::Auto, "my.bucket", "https://s3.eu-west-1.amazonaws.com/my.bucket")]
    #[case(None, S3Addressing::Path, "bucket", "https://s3.eu-west-1.amazonaws.com/bucket")]
    #[case(Some("http://minio:9000"), S3Addressing::Auto, "bucket", "http://minio:9000/bucket")]
    #[case(Some("HTTP://Minio:80/"), S3Addressing::Auto, "bucket", "http://minio/bucket")]
    #[case(Some("https://host/s3"), S3Addressing::Path, "bucket", "https://host/s3/bucket")]
    #[case(Some("http://minio:9000/"), S3Addressing::Virtual, "bucket", "http://bucket.minio:9000")]
    fn addresses(
        #[case] endpoint: Option<&str>,
        #[case] addressing: S3Addressing,
        #[case] bucket: &str,
        #[case] expected: &str,
    ) {
        let options = S3Options { endpoint: endpoint.map(str::to_owned), addressing, ..S3Options::default() };
        assert_eq!(address(&options, "eu-west-1", bucket).expect("valid"), expected);
    }

    #[test]
    fn china_has_a_domain_of_its_own() {
        let address = address(&S3Options::default(), "cn-north-1", "bucket").expect("valid");
        assert_eq!(address, "https://bucket.s3.cn-north-1.amazonaws.com.cn");
    }

    #[rstest]
    #[case("minio:9000")]
    #[case("http://")]
    #[case("http://1.2.3.999")]
    #[case("http://host:99999")]
    #[case("http://ana:hunter2@host")]
    #[case("http://host?x=hunter2")]
    fn endpoints_that_cannot_be(#[case] uri: &str) {
        let options = S3Options { endpoint: Some(uri.to_owned()), ..S3Options::default() };
        let error = endpoint(&options, "us-east-1").expect_err("refused");
        assert!(error.to_string().starts_with("MLFLOW_S3_ENDPOINT_URL: expected"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error}");
    }

    #[test]
    fn a_name_that_no_host_can_have_is_no_part_of_one() {
        let endpoint = Some("http://127.0.0.1:9000".to_owned());
        let options = S3Options { endpoint, addressing: S3Addressing::Virtual, ..S3Options::default() };
        let error = address(&options, "us-east-1", "bucket").expect_err("refused");
        assert!(error.to_string().contains("use `path`"), "{error}");
        assert!(super::endpoint(&options, "no region").is_err());
    }

    #[test]
    fn what_cannot_be_in_a_header_is_named_and_not_shown() {
        let keys = |id: &str, key: &str, token: Option<&str>| {
            check_credentials(&S3Credentials {
                access_key_id: id.to_owned(),
                secret_access_key: key.to_owned(),
                session_token: token.map(str::to_owned),
            })
        };
        keys("id", "a+b/c=", Some("token")).expect("valid");
        for (result, option) in [
            (keys("hunter2\n", "key", None), "AWS_ACCESS_KEY_ID"),
            (keys("id", "hunter2 ", None), "AWS_SECRET_ACCESS_KEY"),
            (keys("id", "key", Some("hünter2")), "AWS_SESSION_TOKEN"),
        ] {
            let error = format!("{:?}", result.expect_err("refused"));
            assert!(error.contains(option) && !error.contains("nter2"), "{error}");
        }
    }

    #[rstest]
    #[case("http://a/b+c?prefix=x+y%2Bz%2F*%7E&list-type=2", "http://a/b+c?prefix=x%20y%2Bz%2F%2A~&list-type=2")]
    #[case("http://a/b+c", "http://a/b+c")]
    fn queries(#[case] uri: &str, #[case] expected: &str) {
        assert_eq!(strictly_encoded(&uri.parse().expect("a URI")), expected);
    }

    #[test]
    fn errors_are_read() {
        let xml =
            "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code><Message>a &lt;b&gt; &amp;lt;</Message></Error>";
        assert_eq!(element(xml, "Code").as_deref(), Some("NoSuchKey"));
        assert_eq!(element(xml, "Message").as_deref(), Some("a <b> &lt;"));
        assert_eq!(element(xml, "Resource"), None);
        assert_eq!(element("<Code>cut", "Code"), None);
    }
}
