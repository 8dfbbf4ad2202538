//! One pass over files: read, cut into blocks, taken apart by several threads, put together in order.
//!
//! A block is taken apart as if a record began at its beginning. Where that is not so, because a record of the block before
//! goes on in it, it is taken apart again after what was left of that block. The outcome therefore depends neither on threads
//! nor on where blocks end.

mod join;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use arrow_array::ArrayRef;

use join::Join;

use crate::source::blocks::{Block, BlockKind, Cutter};
use crate::source::decode::{Before, Decoder, Span, Step, damaged, ends_within_line};
use crate::source::error::SourceError;
use crate::source::excerpt::excerpt;
use crate::source::open::{Content, Head};
use crate::source::parquet;
use crate::source::row::{Names, Row, Source};
use crate::source::tally::Tally;
use crate::source::{Format, ReadOptions};

/// Blocks of one file that are being worked on at most.
const BLOCKS_IN_FLIGHT: usize = 4;

/// What is made of the records of a block.
pub(crate) trait Visit: Sync {
    /// Where records are gathered.
    type Sink;
    /// What becomes of them.
    type Out: Send;

    /// The columns that are known, or all there are.
    fn names(&self) -> Names;

    /// Columns that hold objects of JSON as text too.
    fn mixed(&self) -> &[String];

    fn sink(&self) -> Self::Sink;

    /// Takes a record, or tells why it is rejected.
    fn push(&self, sink: &mut Self::Sink, row: &Row, source: Source<'_>, names: &Names) -> Result<(), String>;

    /// Whether it holds so much that it is to be finished, and another begun.
    fn is_full(&self, sink: &Self::Sink, names: &Names) -> bool;

    /// `objects`: names that had objects of JSON.
    fn finish(&self, sink: Self::Sink, names: &Names, objects: Vec<String>) -> Self::Out;

    /// Takes rows that come as columns, arrays of the four types.
    fn arrays(&self, columns: Vec<(String, ArrayRef)>, n_rows: usize) -> Self::Out;
}

/// What a block gave.
#[derive(Debug)]
pub(crate) struct Part<O> {
    pub(crate) out: O,
    pub(crate) n_rows: usize,
    /// Of each row the line and the byte it starts at, from those of the part.
    pub(crate) starts: Vec<(u32, u32)>,
    pub(crate) rejected: Vec<RejectedPart>,
    pub(crate) tally: Tally,
    /// Line and byte of the text at which the part starts, from 0.
    pub(crate) line: u64,
    pub(crate) offset: u64,
}

/// A record that is rejected.
#[derive(Debug, Clone)]
pub(crate) struct RejectedPart {
    pub(crate) line: u64,
    pub(crate) offset: u64,
    pub(crate) reason: String,
    pub(crate) excerpt: String,
}

/// How a file ended.
#[derive(Debug)]
pub(crate) struct FileEnd {
    pub(crate) n_bytes: u64,
    pub(crate) digest: [u8; 32],
    /// Why it cannot be read to its end.
    pub(crate) damage: Option<String>,
    /// What else a person should know.
    pub(crate) warning: Option<String>,
}

/// What a pass tells as it goes on.
pub(crate) trait Gather<O> {
    fn part(&mut self, file: usize, part: Part<O>) -> Result<(), SourceError>;
    fn end(&mut self, file: usize, end: FileEnd) -> Result<(), SourceError>;
}

enum Message<O> {
    Block {
        at: (usize, usize),
        reader: usize,
        block: Block,
        decoded: Option<Decoded<O>>,
    },
    /// After so many blocks, some of which may still be on their way.
    End {
        file: usize,
        n_blocks: usize,
        result: Result<FileEnd, SourceError>,
    },
    /// A thread has panicked; it does so again where the others are waited for.
    Panic(Box<dyn std::any::Any + Send>),
}

/// A block taken apart.
struct Decoded<O> {
    part: Part<O>,
    /// Bytes of it that are whole records.
    consumed: usize,
    n_lines: u64,
    /// Whether there are more, which make another part.
    has_more: bool,
    /// What the bytes after it must know of it.
    before: Before,
}

/// Threads to read with.
pub(crate) fn n_threads(options: &ReadOptions) -> usize {
    let available = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    options.threads.map_or_else(available, NonZeroUsize::get)
}

/// Goes over files, giving their parts in order.
///
/// # Errors
/// Files that cannot be read, the first in order; what `gather` says.
pub(crate) fn scan<V: Visit>(
    heads: &[Head],
    options: &ReadOptions,
    visit: &V,
    gather: &mut dyn Gather<V::Out>,
) -> Result<(), SourceError> {
    let n_threads = n_threads(options);
    let n_texts = heads.iter().filter(|head| !head.is_columnar()).count();
    let is_small = heads.iter().all(|head| head.is_all);
    if n_threads == 1 || (is_small && options.threads.is_none()) {
        return scan_inline(heads, options, visit, gather);
    }
    let n_readers = n_threads.min(n_texts).max(1);
    let next_file = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let (to_work, jobs) = channel::<(usize, (usize, usize), Block)>();
    let jobs = Mutex::new(jobs);
    let (report, messages) = channel::<Message<V::Out>>();
    // The memory of blocks that are done with goes back to their reader, which waits for it: it is read into again.
    let (spare_senders, spares): (Vec<_>, Vec<_>) = (0..n_readers).map(|_| channel::<Vec<u8>>()).unzip();
    for sender in &spare_senders {
        for _ in 0..BLOCKS_IN_FLIGHT {
            let _ = sender.send(Vec::new());
        }
    }
    std::thread::scope(|scope| {
        for (reader, spares) in spares.into_iter().enumerate() {
            let (to_work, report, next_file, stop) = (to_work.clone(), report.clone(), &next_file, &stop);
            scope.spawn(move || {
                loop {
                    let file = next_file.fetch_add(1, Ordering::Relaxed);
                    let Some(head) = heads.get(file) else { return };
                    if head.is_columnar() {
                        continue;
                    }
                    let mut index = 0;
                    let result = read_blocks(head, options, &mut |block| {
                        let spare = spares.recv().ok().filter(|_| !stop.load(Ordering::Relaxed))?;
                        let at = (file, index);
                        index += 1;
                        if head.layout().spans_lines() || !matches!(block.kind, BlockKind::Lines | BlockKind::Last) {
                            report.send(Message::Block { at, reader, block, decoded: None }).ok()?;
                        } else {
                            to_work.send((reader, at, block)).ok()?;
                        }
                        Some(spare)
                    });
                    let _ = report.send(Message::End { file, n_blocks: index, result });
                }
            });
        }
        drop(to_work);
        for _ in 0..n_threads {
            let (jobs, report) = (&jobs, report.clone());
            scope.spawn(move || {
                loop {
                    let job = jobs.lock().ok().and_then(|jobs| jobs.recv().ok());
                    let Some((reader, at, block)) = job else { return };
                    let work = || decode_block(&heads[at.0], options, visit, &block);
                    let decoded = match catch_unwind(AssertUnwindSafe(work)) {
                        Ok(decoded) => Some(decoded),
                        Err(panic) => {
                            let _ = report.send(Message::Panic(panic));
                            return;
                        }
                    };
                    if report.send(Message::Block { at, reader, block, decoded }).is_err() {
                        return;
                    }
                }
            });
        }
        drop(report);
        let outcome = put_together(heads, options, visit, gather, &messages, &spare_senders);
        stop.store(true, Ordering::Relaxed);
        // Readers that wait for memory go on to see that they are to stop.
        drop(spare_senders);
        drop(messages);
        outcome
    })
}

/// Takes what the threads report and gives it on in order.
fn put_together<V: Visit>(
    heads: &[Head],
    options: &ReadOptions,
    visit: &V,
    gather: &mut dyn Gather<V::Out>,
    messages: &Receiver<Message<V::Out>>,
    spares: &[Sender<Vec<u8>>],
) -> Result<(), SourceError> {
    let mut blocks = BTreeMap::new();
    let mut ends = BTreeMap::new();
    for (file, head) in heads.iter().enumerate() {
        if head.is_columnar() {
            columnar(file, head, options, visit, gather)?;
            continue;
        }
        let mut join = Join::new(file, head, options, visit);
        let mut index = 0;
        loop {
            if let Some((reader, block, decoded)) = blocks.remove(&(file, index)) {
                let spare = join.take(block, decoded, gather)?;
                let _ = spares.get(reader).map(|sender: &Sender<_>| sender.send(spare));
                index += 1;
            } else if ends.get(&file).is_some_and(|(n_blocks, _)| *n_blocks == index)
                && let Some((_, end)) = ends.remove(&file)
            {
                join.end(end?, gather)?;
                break;
            } else {
                match messages.recv() {
                    Ok(Message::Block { at, reader, block, decoded }) => {
                        blocks.insert(at, (reader, block, decoded));
                    }
                    Ok(Message::End { file, n_blocks, result }) => {
                        ends.insert(file, (n_blocks, result));
                    }
                    Ok(Message::Panic(panic)) => resume_unwind(panic),
                    Err(_) => return Err(SourceError::Interrupted),
                }
            }
        }
    }
    Ok(())
}

fn scan_inline<V: Visit>(
    heads: &[Head],
    options: &ReadOptions,
    visit: &V,
    gather: &mut dyn Gather<V::Out>,
) -> Result<(), SourceError> {
    for (file, head) in heads.iter().enumerate() {
        if head.is_columnar() {
            columnar(file, head, options, visit, gather)?;
            continue;
        }
        let mut join = Join::new(file, head, options, visit);
        let mut failed = None;
        let end = read_blocks(head, options, &mut |block| {
            let is_line = matches!(block.kind, BlockKind::Lines | BlockKind::Last) && !head.layout().spans_lines();
            let decoded = (is_line && join.is_clear()).then(|| decode_block(head, options, visit, &block));
            join.take(block, decoded, gather).map_err(|error| failed = Some(error)).ok()
        });
        if let Some(error) = failed {
            return Err(error);
        }
        join.end(end?, gather)?;
    }
    Ok(())
}

/// Reads a file block by block, until `take` wants no more; it gives memory to read further into.
fn read_blocks(
    head: &Head,
    options: &ReadOptions,
    take: &mut dyn FnMut(Block) -> Option<Vec<u8>>,
) -> Result<FileEnd, SourceError> {
    let failed = |source| SourceError::Read { path: head.path.clone(), n_rows: 0, source };
    let content = Content::open(&head.path, options, head.encoding)?;
    // A cut inside of an object is no harm: it goes on in the next block.
    let within = (head.format == Format::JsonLines).then_some(b'}');
    let cutter = Cutter::new(content, head.terminator, options.block_bytes, options.max_line_bytes);
    let mut cutter = cutter.within_lines(within);
    let mut damage = None;
    let mut n_header = head.start as usize;
    let mut spare = Vec::new();
    while let Some(mut block) = cutter.next(spare).map_err(failed)? {
        let n_skipped = n_header.min(block.bytes.len());
        if n_skipped > 0 {
            block.bytes.drain(..n_skipped);
            n_header -= n_skipped;
        }
        if let BlockKind::Damaged(why) = &block.kind {
            damage = Some(why.clone());
        }
        let Some(given) = take(block) else { break };
        spare = given;
    }
    let (n_bytes, digest) = cutter.into_reader().measure();
    Ok(FileEnd { n_bytes, digest, damage, warning: None })
}

/// What comes after some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After<'a> {
    More,
    Nothing,
    /// Nothing that can be read, and why.
    Damage(&'a str),
}

/// Takes the records of some bytes apart, as many as one part holds.
fn decode<V: Visit>(
    head: &Head,
    options: &ReadOptions,
    visit: &V,
    bytes: &[u8],
    before: Before,
    after: After<'_>,
) -> Decoded<V::Out> {
    let mut decoder =
        Decoder::new(head.layout(), head.terminator, options.max_line_bytes, visit.names(), visit.mixed());
    let source = Source::new(bytes);
    decoder.begin(source, before);
    let mut sink = visit.sink();
    let mut starts = Vec::new();
    let mut rejected = Vec::new();
    let mut reject = |span: Span, reason: String| {
        let record = &bytes[span.start..span.end];
        rejected.push(RejectedPart { line: span.line, offset: span.start as u64, reason, excerpt: excerpt(record) });
    };
    let (mut at, mut has_more) = (0, false);
    let mut damage = None;
    if let After::Damage(why) = after {
        damage = Some(why);
    }
    let consumed = loop {
        if at >= bytes.len() {
            break bytes.len();
        }
        has_more = visit.is_full(&sink, &decoder.names);
        if has_more {
            break at;
        }
        let step = match after {
            After::More | After::Nothing => decoder.step(bytes, at, after == After::Nothing),
            After::Damage(why) => {
                let (step, is_told) = decoder.step_damaged(bytes, at, why);
                damage = damage.filter(|_| !is_told);
                step
            }
        };
        match step {
            Step::Record(span) => {
                match visit.push(&mut sink, &decoder.row, source, &decoder.names) {
                    Ok(()) => starts.push((span.line as u32, span.start as u32)),
                    Err(reason) => reject(span, reason),
                }
                at = span.next;
            }
            Step::Rejected(span, reason) => {
                reject(span, reason);
                at = span.next;
            }
            Step::Nothing(next) => at = next,
            Step::Pending(start) => break start,
        }
    };
    if let Some(why) = damage.filter(|_| !has_more) {
        let end = bytes.len();
        reject(Span { start: end, end, next: end, line: decoder.n_lines() }, damaged(why));
    }
    let out = visit.finish(sink, &decoder.names, decoder.objects());
    let n_lines = decoder.n_lines();
    let part = Part { out, n_rows: starts.len(), starts, rejected, tally: decoder.tally, line: 0, offset: 0 };
    let mut before = decoder.before;
    before.is_within_line = ends_within_line(&bytes[..consumed], head.terminator, before.is_within_line);
    Decoded { part, consumed, n_lines, has_more, before }
}

/// Takes a block apart as if a record began at its beginning.
fn decode_block<V: Visit>(head: &Head, options: &ReadOptions, visit: &V, block: &Block) -> Decoded<V::Out> {
    let before = Before { is_within_line: block.is_within_line, ..Before::default() };
    decode(head, options, visit, &block.bytes, before, after(&block.kind))
}

fn after(kind: &BlockKind) -> After<'_> {
    match kind {
        BlockKind::Lines => After::More,
        BlockKind::Last | BlockKind::LongLine => After::Nothing,
        BlockKind::Damaged(why) => After::Damage(why),
    }
}

/// Takes the beginning of a file apart, for what it tells of the rest.
pub(crate) fn decode_head<V: Visit>(
    head: &Head,
    options: &ReadOptions,
    visit: &V,
) -> Result<(V::Out, usize), SourceError> {
    if head.is_columnar() {
        let files = head.columnar_files(options);
        let first = files.first().map(|(_, path)| parquet::read_first(path, &visit.names())).transpose()?;
        let parquet::Rows { columns, n_rows, .. } = first.unwrap_or_default();
        return Ok((visit.arrays(columns, n_rows), n_rows));
    }
    let after = if head.is_all { After::Nothing } else { After::More };
    let part = decode(head, options, visit, &head.lines, Before::default(), after).part;
    Ok((part.out, part.n_rows))
}

/// Reads a file of columns.
fn columnar<V: Visit>(
    file: usize,
    head: &Head,
    options: &ReadOptions,
    visit: &V,
    gather: &mut dyn Gather<V::Out>,
) -> Result<(), SourceError> {
    let mut n_before = 0;
    // Those of a database were replaced before its rows were kept.
    let mut n_lossy_before = head.spool.as_ref().map_or(0, |spool| spool.n_lossy);
    let mut take = |parquet::Rows { columns, n_rows, n_lossy }| {
        let out = visit.arrays(columns, n_rows);
        let starts = (0..n_rows as u32).map(|row| (row, 0)).collect();
        let tally = Tally::of_lossy(n_lossy as u64 + std::mem::take(&mut n_lossy_before));
        let part = Part { out, n_rows, starts, rejected: Vec::new(), tally, line: n_before, offset: 0 };
        n_before += n_rows as u64;
        gather.part(file, part)
    };
    for (_, path) in head.columnar_files(options) {
        parquet::read(path, &visit.names(), &mut take)?;
    }
    let end = match &head.spool {
        Some(spool) => {
            let (n_bytes, digest, warning) = (spool.n_bytes, spool.digest, spool.warning.clone());
            FileEnd { n_bytes, digest, damage: None, warning }
        }
        None => {
            let mut content = Content::open(&head.path, options, None)?;
            std::io::copy(&mut content, &mut std::io::sink()).map_err(|source| SourceError::Read {
                path: head.path.clone(),
                n_rows: n_before,
                source,
            })?;
            let (n_bytes, digest) = content.measure();
            FileEnd { n_bytes, digest, damage: None, warning: None }
        }
    };
    gather.end(file, end)
}
