//! The state directory of a target: opened to look, or locked to write.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::stat::fstat;
use nix::unistd::geteuid;

use super::content::{Content, Fingerprint, Xattrs};
use super::error::ApplyError;
use super::journal::{self, Contents, Journal, Record};
use super::ledger::{Ledger, Owned};
use super::place::{Last as LastPart, Place, Tree, UNDECLARED};
use super::saved::{Saved, UNFINISHED};
use super::write::{Hand, Interrupt, Uninterrupted};
use super::{Applied, Last, Operation, OwnedFile, RebuildState, State};
use crate::id::TargetPath;
use crate::root::Root;
use crate::step::{FileState, Owner};

const PARENT: &str = "/var/lib";
const NAME: &str = "neuron-provisioner";
const JOURNAL: &str = "journal.jsonl";
const SAVED: &str = "saved";

/// How a target is written.
pub struct Options<'a> {
    /// Mount points inside the target that may be written, beside those that its own
    /// `/etc/fstab` declares.
    pub mounts: Vec<TargetPath>,
    /// Asked before and after everything that changes something on disk.
    pub interrupt: Box<dyn Interrupt + 'a>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { mounts: Vec::new(), interrupt: Box::new(Uninterrupted) }
    }
}

/// What is known about a target. Looking creates nothing and takes no lock, so it works on a
/// read-only file system and for anybody who may read the directory.
pub struct View<'r> {
    root: &'r Root,
    pub(super) tree: Tree<'r>,
    directory: Option<OwnedFd>,
    found: Contents,
    ledger: Ledger,
}

/// A target that is being written; nobody else can write it meanwhile.
pub struct Store<'r> {
    view: View<'r>,
    hand: Hand<'r>,
    lock: Option<Flock<OwnedFd>>,
    journal: Option<Journal>,
}

impl<'r> View<'r> {
    /// Reads the state of a target.
    pub fn open(root: &'r Root) -> Result<Self, ApplyError> {
        Self::with_mounts(root, &[])
    }

    fn with_mounts(root: &'r Root, mounts: &[TargetPath]) -> Result<Self, ApplyError> {
        let mut view = Self::without_journal(root, mounts)?;
        view.read_journal()?;
        Ok(view)
    }

    /// The state directory alone: nothing is known of what was applied.
    fn without_journal(root: &'r Root, mounts: &[TargetPath]) -> Result<Self, ApplyError> {
        let tree = Tree::new(root, mounts)?;
        let mut view =
            Self { root, tree, directory: None, found: Contents::default(), ledger: Ledger::default() };
        if let Some(place) = view.tree.place(&view.state_directory()?)? {
            view.directory = open_trusted(&place)?;
        }
        Ok(view)
    }

    fn read_journal(&mut self) -> Result<(), ApplyError> {
        if let Some(place) = self.entry(JOURNAL)? {
            self.found = journal::read(&place)?;
            self.ledger = Ledger::replay(&self.found.records);
        }
        Ok(())
    }

    /// `/var/lib` may be a symlink inside the target; the directory itself may not be one.
    fn state_directory(&self) -> Result<TargetPath, ApplyError> {
        let no_path = |_| ApplyError::refused(PARENT, "it is no path inside a root");
        let parent: TargetPath = PARENT.parse().map_err(no_path)?;
        let real = self.tree.resolve(&parent, LastPart::Follow)?;
        if self.tree.link_at(real.relative(), &parent)?.is_some() {
            return Err(ApplyError::refused(PARENT, "it is a symlink that leads nowhere in the target"));
        }
        real.join(NAME).map_err(no_path)
    }

    fn entry(&self, name: &str) -> Result<Option<Place>, ApplyError> {
        let Some(directory) = &self.directory else { return Ok(None) };
        let directory = directory.try_clone().map_err(ApplyError::io("open", format!("{PARENT}/{NAME}")))?;
        let any_mount = self.tree.is_running_system();
        Ok(Some(Place { directory, name: name.to_owned(), fat: false, any_mount }))
    }

    /// Where the set-up stands.
    pub fn status(&self) -> Result<Applied, ApplyError> {
        let ledger = &self.ledger;
        let (mut drifted, mut unseen) = (Vec::new(), Vec::new());
        for (real, owned) in ledger.files.iter().filter(|(_, owned)| !owned.is_taken_back()) {
            match self.is_as_written(real, owned) {
                Ok(true) => {}
                Ok(false) => drifted.push(owned.path.clone()),
                // A boot partition is often for root's eyes only.
                Err(error) if error.is_for_lack_of_rights() => unseen.push(owned.path.clone()),
                Err(error) => return Err(error),
            }
        }
        let state = match (&ledger.unfinished, &ledger.last) {
            (Some(_), _) => State::Interrupted,
            (None, _) if !ledger.files.is_empty() => State::Applied,
            (None, Some(last)) if last.operation == Operation::Revert => State::Reverted,
            (None, _) => State::Unconfigured,
        };
        let rebuilds = |wanted: &dyn Fn(RebuildState) -> bool| {
            let chosen = ledger.rebuilds.iter().filter(|rebuild| wanted(rebuild.state));
            chosen.map(|rebuild| rebuild.argv.clone()).collect()
        };
        let files = ledger.files.iter().map(|(real, owned)| OwnedFile {
            path: owned.path.clone(),
            real: real.clone(),
            step: owned.step.clone(),
            is_copy: owned.copy,
            is_mixed: owned.mixed,
            is_taken_back: owned.is_taken_back() && !self.is_made(real, owned),
        });
        Ok(Applied {
            state,
            drifted,
            unseen,
            last: ledger.last.clone().map(|begin| Last {
                operation: begin.operation,
                plan_id: begin.plan,
                stage: begin.stage,
                boot_id: begin.boot_id,
                tokens: begin.tokens,
                note: begin.note,
            }),
            tokens: ledger.tokens.clone(),
            rebuilds_open: rebuilds(&|state| state != RebuildState::Done),
            rebuilds_due: rebuilds(&|state| state == RebuildState::Failed),
            files: files.collect(),
        })
    }

    /// Whether derived output of ours is there. What cannot be seen is taken for not there: only names are
    /// told.
    fn is_made(&self, real: &TargetPath, owned: &Owned) -> bool {
        owned.copy && matches!(self.root.size(real.as_str()), Ok(Some(_)))
    }

    /// Whether a file of ours still is what we wrote; of a copy, whether it is there.
    fn is_as_written(&self, real: &TargetPath, owned: &Owned) -> Result<bool, ApplyError> {
        if owned.copy {
            let size = self.root.size(real.as_str());
            return size
                .map(|size| size.is_some())
                .map_err(|error| ApplyError::io("examine", real.as_str())(error.source));
        }
        match self.tree.read(real) {
            Ok(found) => Ok(found.content.fingerprint().same(&owned.written, self.tree.keeps(real)?)),
            // Something that is no file any more has drifted, too.
            Err(ApplyError::Refused { .. } | ApplyError::Changed { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether somebody is writing to this target right now. What is read meanwhile is half done.
    pub fn is_busy(&self) -> Result<bool, ApplyError> {
        let Some(place) = self.entry(".")? else { return Ok(false) };
        let own = place
            .open_entry(OFlag::O_RDONLY | OFlag::O_DIRECTORY)
            .map_err(|errno| ApplyError::io("open", format!("{PARENT}/{NAME}"))(errno.into()))?;
        // A shared lock gets in nobody's way and is gone with the descriptor.
        Ok(matches!(Flock::lock(own, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK))))
    }

    /// The error for somebody who cannot wait until the other one is done.
    pub fn busy(&self) -> ApplyError {
        ApplyError::Busy { path: format!("{PARENT}/{NAME}") }
    }

    /// What stood at a path before the first of our transactions; `None` when the path is not
    /// ours, so that what stands there now is nobody's but the user's.
    pub fn original(&self, path: &TargetPath) -> Result<Option<FileState>, ApplyError> {
        self.owned(path).map(|owned| self.state_of(&owned.original)).transpose()
    }

    /// What we last wrote to a path; `None` when the path is not ours.
    pub fn written(&self, path: &TargetPath) -> Result<Option<FileState>, ApplyError> {
        self.owned(path).map(|owned| self.state_of(&owned.written)).transpose()
    }

    fn owned(&self, path: &TargetPath) -> Option<&Owned> {
        let by_name = self.ledger.files.values().find(|owned| owned.path == *path);
        by_name.or_else(|| self.ledger.files.get(path))
    }

    fn state_of(&self, fingerprint: &Fingerprint) -> Result<FileState, ApplyError> {
        Ok(self.content_of(fingerprint)?.state())
    }

    pub(super) fn content_of(&self, fingerprint: &Fingerprint) -> Result<Content, ApplyError> {
        match self.entry(SAVED)? {
            Some(place) => Saved { place: &place }.content(fingerprint),
            None => Err(ApplyError::refused(PARENT, "the state directory is gone")),
        }
    }

    /// A file that the caller keeps beside the journal; `None` when there is none.
    pub fn read_state_file(&self, name: &str) -> Result<Option<Vec<u8>>, ApplyError> {
        let Some(place) = self.entry(state_file(name)?)? else { return Ok(None) };
        match place.open_entry(OFlag::O_RDONLY | OFlag::O_NONBLOCK) {
            Ok(opened) => {
                let mut bytes = Vec::new();
                File::from(opened).read_to_end(&mut bytes).map_err(ApplyError::io("read", name))?;
                Ok(Some(bytes))
            }
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(ApplyError::io("read", name)(errno.into())),
        }
    }
}

impl<'r> Store<'r> {
    /// Opens a target to write it. Nothing is created until something is written.
    pub fn open(root: &'r Root, options: Options<'r>) -> Result<Self, ApplyError> {
        let mut store = Self {
            view: View::with_mounts(root, &options.mounts)?,
            hand: Hand(options.interrupt),
            lock: None,
            journal: None,
        };
        if store.view.directory.is_some() {
            store.take_lock()?;
            // Somebody may have written between the look and the lock.
            store.view.read_journal()?;
        }
        Ok(store)
    }

    /// Opens a target and locks it, whether anything is going to be written into it or not.
    pub fn locked(root: &'r Root, options: Options<'r>) -> Result<Self, ApplyError> {
        let mut store = Self::open(root, options)?;
        store.prepare_directory()?;
        Ok(store)
    }

    /// What is known about the target.
    pub fn view(&self) -> &View<'r> {
        &self.view
    }

    fn take_lock(&mut self) -> Result<(), ApplyError> {
        let Some(place) = self.view.entry(".")? else { return Ok(()) };
        // A descriptor of its own: a clone would share the lock and outlive it.
        let own = place
            .open_entry(OFlag::O_RDONLY | OFlag::O_DIRECTORY)
            .map_err(|errno| ApplyError::io("open", format!("{PARENT}/{NAME}"))(errno.into()))?;
        match Flock::lock(own, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => self.lock = Some(lock),
            Err((_, Errno::EWOULDBLOCK)) => return Err(self.view.busy()),
            Err((_, errno)) => return Err(ApplyError::io("lock", format!("{PARENT}/{NAME}"))(errno.into())),
        }
        Ok(())
    }

    /// Makes the state directory and locks it, unless that was done.
    fn prepare_directory(&mut self) -> Result<(), ApplyError> {
        if self.lock.is_some() {
            return Ok(());
        }
        let path = self.view.state_directory()?;
        let make = || ApplyError::io("make", path.as_str());
        let (_, missing) = self.view.tree.missing_directories(&path)?;
        self.hand.make_directories(&self.view.tree, &missing).map_err(make())?;
        let gone = || ApplyError::refused(&path, "it vanished while it was made");
        let place = self.view.tree.place(&path)?.ok_or_else(gone)?;
        // Anybody may ask where it stands; what files held before is behind a mode of its own.
        self.hand.make_directory(&place, 0o755).map_err(make())?;
        self.view.directory = open_trusted(&place)?;
        self.take_lock()?;
        self.view.read_journal()?;
        if self.view.found.records.is_empty() {
            Ok(())
        } else {
            // What was decided before the lock was decided about another past.
            self.lock = None;
            Err(ApplyError::Busy { path: path.to_string() })
        }
    }

    /// Makes everything ready for a first record.
    pub(super) fn prepare_state(&mut self) -> Result<(), ApplyError> {
        self.prepare_directory()?;
        if self.journal.is_none()
            && let Some(place) = self.view.entry(JOURNAL)?
        {
            self.journal = Some(Journal::open(&mut self.hand, &place, &self.view.found)?);
        }
        Ok(())
    }

    pub(super) fn append(&mut self, record: &Record) -> Result<(), ApplyError> {
        let Some(journal) = &mut self.journal else {
            return Err(ApplyError::refused(PARENT, "the journal is not open"));
        };
        journal
            .append(&mut self.hand, record)
            .map_err(ApplyError::io("write", format!("{PARENT}/{NAME}/{JOURNAL}")))
    }

    pub(super) fn root(&self) -> &Root {
        self.view.root
    }

    pub(super) fn tree(&self) -> &Tree<'r> {
        &self.view.tree
    }

    #[cfg(test)]
    pub(super) fn tree_mut(&mut self) -> &mut Tree<'r> {
        &mut self.view.tree
    }

    pub(super) fn hand_mut(&mut self) -> &mut Hand<'r> {
        &mut self.hand
    }

    pub(super) fn interrupt_mut(&mut self) -> &mut (dyn Interrupt + 'r) {
        self.hand.0.as_mut()
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.view.ledger
    }

    pub(super) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.view.ledger
    }

    /// Where the journal really is or will be.
    pub(super) fn journal_path(&self) -> Result<TargetPath, ApplyError> {
        let path = self.view.state_directory()?.join(JOURNAL);
        path.map_err(|_| ApplyError::refused(PARENT, "it is no path inside a root"))
    }

    pub(super) fn next_transaction(&self) -> u64 {
        self.view.ledger.newest + 1
    }

    pub(super) fn keep(&mut self, contents: [&Content; 2]) -> Result<(), std::io::Error> {
        let Some(place) = self.view.entry(SAVED).map_err(std::io::Error::other)? else { return Ok(()) };
        contents.iter().try_for_each(|content| Saved { place: &place }.keep(&mut self.hand, content))
    }

    pub(super) fn put(
        &mut self,
        real: &TargetPath,
        content: &Content,
        temporary: &str,
    ) -> Result<(), ApplyError> {
        let write = || ApplyError::io("write", real.as_str());
        if *content != Content::Absent {
            let (_, missing) = self.view.tree.missing_directories(real)?;
            self.hand.make_directories(&self.view.tree, &missing).map_err(write())?;
        }
        let Some(place) = self.view.tree.place(real)? else { return Ok(()) };
        self.hand.put(&place, content, temporary).map_err(write())
    }

    pub(super) fn remove_temporary(&mut self, real: &TargetPath, name: &str) -> Result<(), ApplyError> {
        // The journal lies in the target: it must not make us remove anything else.
        if !name.starts_with('.') || !name.contains(".neuron-") || name.contains('/') {
            return Err(ApplyError::refused(real, format!("`{name}` is no temporary name of ours")));
        }
        let Some(mut place) = self.view.tree.place(real)? else { return Ok(()) };
        name.clone_into(&mut place.name);
        self.hand.remove(&place).map_err(ApplyError::io("remove", name))
    }

    /// Takes copies of derived output away that are not among these: what a run that was cut off left.
    pub fn drop_unwanted_copies(&mut self, wanted: &[TargetPath]) -> Result<(), ApplyError> {
        if self.ledger().copies_but(wanted).is_empty() {
            return Ok(());
        }
        self.prepare_state()?;
        self.drop_copies(wanted)
    }

    /// Takes copies of derived output away that are wanted no more. A crash between two of them leaves
    /// the others ours; the next revert goes on.
    pub(super) fn drop_copies(&mut self, wanted: &[TargetPath]) -> Result<(), ApplyError> {
        for real in self.ledger().copies_but(wanted) {
            if let Some(place) = self.view.tree.place(&real)? {
                self.hand.remove(&place).map_err(ApplyError::io("remove", real.as_str()))?;
            }
            let directories = self.ledger().directories.clone();
            self.remove_directories(&directories)?;
            self.append(&Record::Dropped { real: real.clone() })?;
            self.ledger_mut().drop_copy(&real);
        }
        Ok(())
    }

    pub(super) fn remove_directories(&mut self, made: &[TargetPath]) -> Result<(), ApplyError> {
        let first = made.first().map_or("", TargetPath::as_str);
        self.hand.remove_directories(&self.view.tree, made).map_err(ApplyError::io("remove", first))
    }

    /// Saved bytes that nobody needs any more. They only take room: a failure is no failure of
    /// what was asked, and the next run tries again.
    pub(super) fn drop_unneeded(&mut self) {
        let dropped = match self.view.entry(SAVED) {
            Ok(Some(place)) => Saved { place: &place }.retain(&mut self.hand, &self.view.ledger.digests()),
            Ok(None) => Ok(()),
            Err(error) => Err(std::io::Error::other(error)),
        };
        if let Err(error) = dropped {
            tracing::debug!(%error, "saved bytes stay");
        }
    }

    /// Writes a file that the caller keeps beside the journal (`candidate.json`, `refusal.json`),
    /// and nothing else. It is no part of a transaction and no revert takes it away.
    pub fn write_state_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), ApplyError> {
        self.write_with_mode(name, bytes, 0o644)
    }

    /// The same, for its owner's eyes only.
    pub fn write_secret_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), ApplyError> {
        self.write_with_mode(name, bytes, 0o600)
    }

    fn write_with_mode(&mut self, name: &str, bytes: &[u8], mode: u32) -> Result<(), ApplyError> {
        let name = state_file(name)?;
        self.prepare_directory()?;
        let (Some(place), Some(unfinished)) = (self.view.entry(name)?, self.view.entry(UNFINISHED)?) else {
            return Ok(());
        };
        let owner = Owner { uid: geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() };
        let content = Content::Regular { bytes: bytes.to_vec(), mode, owner, xattrs: Xattrs::new() };
        self.hand
            .discard(&unfinished)
            .and_then(|()| self.hand.put(&place, &content, UNFINISHED))
            .map_err(ApplyError::io("write", name))
    }

    /// Takes such a file away; one that is not there is no error.
    pub fn remove_state_file(&mut self, name: &str) -> Result<(), ApplyError> {
        let name = state_file(name)?;
        let Some(place) = self.view.entry(name)? else { return Ok(()) };
        self.hand.remove(&place).map_err(ApplyError::io("remove", name))
    }
}

/// Files that are kept beside the journal, whatever state that is in: a journal that is damaged must not
/// keep a boot from being counted.
pub struct Notes<'r>(Store<'r>);

impl<'r> Notes<'r> {
    /// Reads one; `None` when there is none. Takes no lock.
    pub fn read(root: &'r Root, name: &str) -> Result<Option<Vec<u8>>, ApplyError> {
        View::without_journal(root, &[])?.read_state_file(name)
    }

    /// Opens a target to write them; nobody else can write it meanwhile.
    pub fn open(root: &'r Root) -> Result<Self, ApplyError> {
        let view = View::without_journal(root, &[])?;
        let mut store = Store { view, hand: Hand(Box::new(Uninterrupted)), lock: None, journal: None };
        if store.view.directory.is_some() {
            store.take_lock()?;
        }
        Ok(Self(store))
    }

    /// Writes one.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), ApplyError> {
        self.0.write_state_file(name, bytes)
    }

    /// Takes one away; one that is not there is no error.
    pub fn remove(&mut self, name: &str) -> Result<(), ApplyError> {
        self.0.remove_state_file(name)
    }
}

fn state_file(name: &str) -> Result<&str, ApplyError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.starts_with('.')
        || name.is_empty()
        || !name.bytes().all(plain)
        || [JOURNAL, SAVED].contains(&name)
    {
        return Err(ApplyError::refused(name, "it is no name for a state file"));
    }
    Ok(name)
}

/// Opens the state directory, if it is there and can be trusted: what it says decides what is
/// written elsewhere, so nobody else may have written it.
fn open_trusted(place: &Place) -> Result<Option<OwnedFd>, ApplyError> {
    let path = format!("{PARENT}/{NAME}");
    let directory = match place.open_entry(OFlag::O_RDONLY | OFlag::O_DIRECTORY) {
        Ok(directory) => directory,
        Err(Errno::ENOENT) => return Ok(None),
        Err(Errno::ENOTDIR | Errno::ELOOP) => {
            return Err(ApplyError::refused(&path, "it is not a directory but something else"));
        }
        Err(Errno::EXDEV) => return Err(ApplyError::refused(&path, UNDECLARED)),
        Err(errno) => return Err(ApplyError::io("open", path)(errno.into())),
    };
    let stat = fstat(directory.as_fd()).map_err(|errno| ApplyError::io("examine", &path)(errno.into()))?;
    if stat.st_uid != 0 && stat.st_uid != geteuid().as_raw() {
        return Err(ApplyError::refused(&path, format!("it belongs to user {}", stat.st_uid)));
    }
    if stat.st_mode & 0o022 != 0 {
        return Err(ApplyError::refused(&path, "others can write to it"));
    }
    Ok(Some(directory))
}
