//! The store on a tracking server: a real one, whose URI the environment gives, asked directly and through a proxy that fails in
//! every way it can.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use phantomnet_track::{ServerOptions, Store, open_with};

use crate::http_server::{Request, serve};
use crate::store_contract::store_contract;

/// `scripts/test` starts servers and runs the tests of this file on each.
const SERVER: &str = "PHANTOMNET_TRACK_TEST_SERVER";

pub(crate) fn server_uri() -> String {
    std::env::var(SERVER).unwrap_or_else(|_| panic!("{SERVER} is not set; `scripts/test` runs these tests"))
}

pub(crate) fn options(uri: &str) -> ServerOptions {
    ServerOptions::from_variables(uri, |name| std::env::var(name).ok()).expect("valid variables")
}

pub(crate) fn server() -> ((), Box<dyn Store>) {
    let uri = server_uri();
    ((), open_with(&uri, options(&uri)).expect("opened"))
}

store_contract!(
    #[ignore = "needs a tracking server: see scripts/test"]
    server
);

pub(crate) mod through_a_bad_proxy {
    use super::*;

    fn server() -> ((), Box<dyn Store>) {
        /// So that each test meets other faults, and the same test the same.
        static N: AtomicU64 = AtomicU64::new(1);
        let upstream = server_uri().strip_prefix("http://").expect("http").to_owned();
        let seed = N.fetch_add(1, Ordering::Relaxed) << 32;
        let (uri, _) = serve(move |n, request| pass(&upstream, request, random(seed + n as u64)));
        let options = ServerOptions {
            max_retries: 30,
            backoff_factor: 0.0,
            backoff_jitter: 0.01,
            max_wait_for_first_answer: Duration::from_secs(60),
            ..options(&uri)
        };
        ((), open_with(&uri, options).expect("opened"))
    }

    store_contract!(
        #[ignore = "needs a tracking server: see scripts/test"]
        server
    );

    /// SplitMix64.
    pub(crate) fn random(n: u64) -> u64 {
        let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Passes a request on, or does something worse: half of the time.
    pub(crate) fn pass(upstream: &str, request: &Request, random: u64) -> Option<Vec<u8>> {
        let answer = || forwarded(upstream, request);
        match random % 14 {
            // It never arrives.
            0 => None,
            // It arrives, and its answer does not.
            1 => {
                answer();
                None
            }
            // It arrives twice.
            2 => {
                answer();
                answer()
            }
            // Its answer comes late,
            3 => {
                std::thread::sleep(Duration::from_millis(300));
                answer()
            }
            // or cut short,
            4 => answer().map(|bytes| bytes[..random as usize / 14 % bytes.len().max(1)].to_vec()),
            // or from someone else.
            5 => Some(crate::http_server::answer("502 Bad Gateway", &["Content-Type: text/html"], "<html>")),
            6 => Some(crate::http_server::answer("429 Too Many", &["Retry-After: 0"], "")),
            _ => answer(),
        }
    }

    pub(crate) fn forwarded(upstream: &str, request: &Request) -> Option<Vec<u8>> {
        let mut stream = TcpStream::connect(upstream).ok()?;
        stream.write_all(&request.to_bytes()).ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}
