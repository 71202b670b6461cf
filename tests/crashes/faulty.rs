//! Storage that fails: a file below, and a plan of what goes wrong on the way to it. Locks are the file's own, so that
//! readers and the writer are kept apart as they are in production.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use sk_tracedb::{Store, StoreError};

/// What a file system gives room by.
const BLOCK_BYTES: u64 = 4096;
/// ENOSPC, EIO.
const NO_SPACE: i32 = 28;
const IO: i32 = 5;

/// Something that happened to the storage, in order.
#[derive(Clone, Debug)]
pub enum Op {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
    /// So many batches have been begun.
    Begun(usize),
    /// So many batches have been acknowledged.
    Acknowledged(usize),
}

/// Which operations fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fail {
    #[default]
    Never,
    /// The n-th from now, the first being 0.
    Once(u64),
    /// The n-th from now and all after it.
    From(u64),
}

#[derive(Debug, Default)]
struct State {
    fail: Fail,
    /// Operations since the plan was set.
    operations: u64,
    log: Option<Vec<Op>>,
    /// Blocks that have been written to.
    allocated: HashSet<u64>,
    blocks_max: Option<usize>,
    /// Operations succeed and are not counted.
    spared: bool,
}

/// The storage. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Faulty {
    file: Arc<tempfile::TempPath>,
    state: Arc<Mutex<State>>,
}

impl Faulty {
    /// Storage that holds these bytes.
    pub fn of(image: &[u8]) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        std::fs::write(&file, image).unwrap();
        let blocks = (image.len() as u64).div_ceil(BLOCK_BYTES);
        let state = State {
            allocated: (0..blocks).collect(),
            ..State::default()
        };
        Self {
            file: Arc::new(file),
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// A new and empty store on storage of its own, as it is before its first run.
    pub fn new_store() -> Self {
        let storage = Self::of(&[]);
        storage.open().unwrap().close().unwrap();
        storage
    }

    pub fn path(&self) -> &Path {
        &self.file
    }

    pub fn image(&self) -> Vec<u8> {
        std::fs::read(&*self.file).unwrap()
    }

    pub fn open(&self) -> Result<Store, StoreError> {
        let storage = self.clone();
        Store::open_on(self.path(), move || storage.handle(), Default::default())
    }

    /// From now on, operations fail by this plan.
    pub fn fail(&self, fail: Fail) {
        let mut state = self.state();
        state.fail = fail;
        state.operations = 0;
    }

    /// Does something that the plan leaves alone.
    pub fn spare<T>(&self, work: impl FnOnce() -> T) -> T {
        self.state().spared = true;
        let result = work();
        self.state().spared = false;
        result
    }

    /// Operations since the last plan.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Only so many more bytes can be allocated; `None`: as many as one likes.
    pub fn leave_bytes(&self, bytes: Option<u64>) {
        let mut state = self.state();
        let allocated = state.allocated.len();
        state.blocks_max = bytes.map(|bytes| allocated + (bytes / BLOCK_BYTES) as usize);
    }

    pub fn start_log(&self) {
        self.state().log = Some(Vec::new());
    }

    pub fn log(&self, op: Op) {
        self.state().log(|| op);
    }

    pub fn take_log(&self) -> Vec<Op> {
        self.state().log.take().unwrap()
    }

    fn handle(&self) -> io::Result<Handle> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&*self.file)?;
        Ok(Handle {
            file: FileBackend::new(file).unwrap(),
            state: Arc::clone(&self.state),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn log(&mut self, op: impl FnOnce() -> Op) {
        if let Some(log) = &mut self.log {
            log.push(op());
        }
    }

    /// Counts an operation, which fails if it is its turn.
    fn operation(&mut self) -> io::Result<()> {
        if self.spared {
            return Ok(());
        }
        let number = self.operations;
        self.operations += 1;
        let fails = match self.fail {
            Fail::Never => false,
            Fail::Once(n) => number == n,
            Fail::From(n) => number >= n,
        };
        if fails {
            return Err(io::Error::from_raw_os_error(IO));
        }
        Ok(())
    }

    /// Takes room for a write; how much of it fits.
    fn room(&mut self, offset: u64, len: usize) -> usize {
        let end = offset + len as u64;
        for block in offset / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES) {
            let full = self
                .blocks_max
                .is_some_and(|max| self.allocated.len() >= max);
            if full && !self.allocated.contains(&block) {
                return (block * BLOCK_BYTES).saturating_sub(offset) as usize;
            }
            self.allocated.insert(block);
        }
        len
    }
}

/// One open file.
#[derive(Debug)]
struct Handle {
    file: FileBackend,
    state: Arc<Mutex<State>>,
}

impl Handle {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        self.state().operation()?;
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.state().operation()?;
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.operation()?;
        state
            .allocated
            .retain(|block| *block < len.div_ceil(BLOCK_BYTES));
        state.log(|| Op::SetLen(len));
        self.file.set_len(len)
    }

    /// Nothing is synced: what would be lost is decided by the log.
    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.operation()?;
        state.log(|| Op::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        // A write that fails has been done in part.
        if let Err(error) = state.operation() {
            self.file.write(offset, &data[..data.len() / 2])?;
            return Err(error);
        }
        let room = state.room(offset, data.len());
        if room < data.len() {
            self.file.write(offset, &data[..room])?;
            return Err(io::Error::from_raw_os_error(NO_SPACE));
        }
        state.log(|| Op::Write(offset, data.to_vec()));
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
