//! First boot: what an operator's answers or an installer left to be done, done once for every state.
//!
//! Done is what somebody said and nobody carried out yet: answers that lie in a system that was never
//! set up, answers that were handed in with the boot, what an installer was refused, and the second
//! half of a set-up whose IOMMU came on with this boot. Edits of the answers of a system that is set
//! up are left to `apply`: a boot applies nothing that a person may still be writing.

mod asking;
mod record;

pub use asking::{Asking, Subject as AskedAbout, asking, leave_questions};
pub(super) use record::supersede;
pub use record::{FIRST_BOOT, FirstBoot, Outcome as FirstBootOutcome};

use crate::text::digest::sha256;

use super::{ProvisionError, Source, Standing, Status, keep_reason, status};
use crate::apply::{ApplyError, Options, Store, View};
use crate::facts::boot_id;
use crate::plan::ANSWERS;
use crate::policy::{Decision, KILL_SWITCH, has_kill_switch};
use crate::root::Root;

/// The file, in the state directory, with the answers that an installer followed to a refusal.
pub const WISH: &str = "refused-answers.toml";

/// What there is to do at this boot.
#[derive(Debug)]
pub enum Due {
    /// Nothing, for this reason.
    Nothing(String),
    /// First boot's own run was cut off: it is put back, and then looked at again.
    PutBack,
    /// This.
    Work(Box<Work>),
}

/// What first boot does.
#[derive(Debug)]
pub struct Work {
    /// The answers to follow.
    pub source: Source,
    /// For the journal: what is done and why.
    pub title: &'static str,
    /// A digest of its kind and the answers.
    pub digest: String,
    /// The digest of the answers, where they were handed in.
    pub handed_in: Option<String>,
    /// Whether it is what an installer was refused.
    pub is_wish: bool,
}

/// Looks what there is to do; writes nothing. `given` is what was handed in with the boot.
pub fn due(machine: &Root, target: &Root, given: &Source) -> Result<Due, ProvisionError> {
    let nothing = |why: &str| Ok(Due::Nothing(why.to_owned()));
    if has_kill_switch(&machine.attribute("proc/cmdline")?.unwrap_or_default()) {
        return Ok(Due::Nothing(format!("this boot has {KILL_SWITCH} on its command line")));
    }
    let record = FirstBoot::load(target)?.unwrap_or_default();
    let status = status(machine, target)?;
    if status.in_progress {
        return nothing("another run is writing right now");
    }
    if status.interrupted {
        return if record.outcome == FirstBootOutcome::Running {
            Ok(Due::PutBack)
        } else {
            nothing("a run that somebody started was cut off; the next `apply` or `revert` puts it right")
        };
    }
    let Some(work) = work(target, given, &record, &status)? else {
        return nothing("nothing was left to be done");
    };
    match record.keeps_from(&work.digest, boot_id(machine).as_deref()) {
        Some(why) => nothing(why),
        None => Ok(Due::Work(Box::new(work))),
    }
}

fn work(
    target: &Root,
    given: &Source,
    record: &FirstBoot,
    status: &Status,
) -> Result<Option<Work>, ProvisionError> {
    if let Source::Text { text, .. } = given {
        let handed_in = digest("answers", text);
        if !record.has_carried_out(&handed_in) {
            return Ok(Some(Work {
                handed_in: Some(handed_in),
                ..Work::new("set up what was handed in with this boot", given.clone(), text)
            }));
        }
    }
    let own = target.read(ANSWERS)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok(match (status.standing, own) {
        (Standing::Pending, own) if !status.reboot_needed && status.due_rebuilds.is_empty() => {
            let text = own.unwrap_or_default();
            Some(Work::new("go on where the IOMMU was to come on first", Source::Target, &text))
        }
        (Standing::Unconfigured, own) => match (wish(target)?, own) {
            (Some(text), own) if own.is_none() || !was_written_since(target)? => {
                let source = Source::Text { name: wish_path(), text: text.clone() };
                let work = Work::new("set up what the installer was not allowed to", source, &text);
                Some(Work { is_wish: true, ..work })
            }
            (_, own) => own.map(|text| {
                Work::new("set up what /etc/neuron/provisioner.toml says", Source::Target, &text)
            }),
        },
        _ => None,
    })
}

fn wish_path() -> String {
    format!("/var/lib/neuron-provisioner/{WISH}")
}

/// Whether the answers were written after an installer was refused. Those of its medium, of which the
/// system is a copy, are older, and what it followed had won over them.
fn was_written_since(target: &Root) -> Result<bool, ProvisionError> {
    Ok(target.modified(ANSWERS)? > target.modified(&wish_path())?)
}

impl Work {
    fn new(title: &'static str, source: Source, text: &str) -> Self {
        Self { digest: digest(title, text), source, title, handed_in: None, is_wish: false }
    }
}

fn digest(kind: &str, text: &str) -> String {
    sha256(&[kind.as_bytes(), &[0], text.as_bytes()])[..16].to_owned()
}

/// The answers that an installer followed to a refusal. The directory is trusted or not there.
fn wish(target: &Root) -> Result<Option<String>, ProvisionError> {
    let Some(bytes) = View::open(target)?.read_state_file(WISH)? else { return Ok(None) };
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| ProvisionError::FirstBoot(format!("{WISH} is not UTF-8 text")))
}

/// An installer was refused: the reason is kept, and what was wanted, for the first boot to try. A
/// target that cannot take it is left as it is, as with [`keep_reason`].
pub fn keep_wish(target: &Root, decision: &Decision, wanted: &Source) {
    keep_reason(target, decision);
    let text = match wanted {
        // It lies where the first boot looks.
        Source::Target => return,
        Source::Text { text, .. } => Ok(text.clone()),
        Source::Given(answers) => answers.render().map_err(|error| error.to_string()),
    };
    let kept = text.and_then(|text| {
        let mut store = Store::open(target, Options::default()).map_err(|error| error.in_full())?;
        store.write_state_file(WISH, text.as_bytes()).map_err(|error| error.in_full())
    });
    if let Err(error) = kept {
        tracing::warn!("what was wanted could not be kept for the first boot: {error}");
    }
}

/// Nobody wants any more what first boot could not do.
pub fn let_go(target: &Root) -> Result<(), ApplyError> {
    let view = View::open(target)?;
    let mut is_there = false;
    for name in [super::REFUSAL, WISH, FIRST_BOOT] {
        is_there |= view.read_state_file(name)?.is_some();
    }
    if is_there {
        super::carry_out::forget_refusal(&mut Store::open(target, Options::default())?);
    }
    Ok(())
}
