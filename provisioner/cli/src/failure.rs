//! Everything that can end a verb early, with its exit code and what to do about it.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use console::style;
use neuron_passthrough::answers::InvalidAnswers;
use neuron_passthrough::apply::{ApplyError, ErrorKind, StepOutcome};
use neuron_passthrough::boots::BootsError;
use neuron_passthrough::facts::FactsError;
use neuron_passthrough::guest::capabilities::InvalidCapabilities;
use neuron_passthrough::guest::domain::DomainError;
use neuron_passthrough::libvirt::LibvirtError;
use neuron_passthrough::plan::InvalidPlan;
use neuron_passthrough::policy::{Code, Decision, Severity, Verdict};
use neuron_passthrough::provision::{DefineError, ProvisionError};
use neuron_passthrough::rebind::RebindError;
use neuron_passthrough::root::{CaptureError, ReadError};

use crate::exit_code::ExitCode;
use crate::render::wrapped_for_stderr;
use crate::{narrate, roots};

/// Why a verb ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    #[error("cannot {attempt} {}", path.display())]
    File { attempt: &'static str, path: PathBuf, source: io::Error },
    #[error("{}: {problem}", path.display())]
    Answers { path: PathBuf, problem: InvalidAnswers },
    #[error("{} must belong to root and not be writable by others, since root follows it", .0.display())]
    Untrusted(PathBuf),
    #[error("{}: {problem}", path.display())]
    Capture { path: PathBuf, problem: CaptureError },
    #[error("{}: {problem}", path.display())]
    Plan { path: PathBuf, problem: InvalidPlan },
    #[error("nobody is there to ask: {question}")]
    NoTerminal { question: &'static str, hint: &'static str },
    #[error("nobody answered for {seconds} seconds: {question}")]
    NobodyAnswered { question: String, seconds: u64 },
    #[error("only root can write to this system")]
    NotRoot,
    #[error("{0} and --answers cannot be given together")]
    TwoFiles(&'static str),
    #[error("the demo brings its own machine, target and answers")]
    DemoRoots,
    #[error("interrupted; nothing was written")]
    Interrupted,
    #[error("interrupted; everything was put back")]
    PutBack { steps: Vec<StepOutcome> },
    #[error("refused, for the reasons above; nothing was written")]
    RefusedAsShown,
    #[error("GPU passthrough is set up, and without this package nothing could take it back")]
    StillSetUp,
    #[error("GPU passthrough: {0}")]
    Upkeep(String),
    #[error("the libvirt of this system knows nothing of the one in {}", .0.display())]
    OtherSystem(PathBuf),
    #[error("{}: {problem}", path.display())]
    Capabilities { path: PathBuf, problem: InvalidCapabilities },
    #[error(transparent)]
    Boots(#[from] BootsError),
    #[error(transparent)]
    Rebind(#[from] RebindError),
    #[error("the Looking Glass client must not be run by root: it shows what a virtual machine draws")]
    GlassAsRoot,
    #[error("{why}")]
    Glass { why: String, hint: String },
    #[error("after {seconds} seconds {why}")]
    GlassWaited { seconds: u32, why: String },
    #[error("cannot run looking-glass-client")]
    GlassRun(#[source] io::Error),
    #[error("the Looking Glass client ended with {0}")]
    GlassEnded(std::process::ExitStatus),
    #[error("nobody can tell whether this boot is good")]
    Witness(#[source] io::Error),
    #[error("not everything went back to the host: {0}")]
    NotGivenBack(String),
    #[error("cannot watch for signals")]
    Signals(#[source] io::Error),
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    #[error("cannot render the result: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::Provision(error.into())
    }
}

impl From<FactsError> for Failure {
    fn from(error: FactsError) -> Self {
        Self::Provision(error.into())
    }
}

impl Failure {
    pub(crate) fn file(attempt: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { attempt, path: path.to_owned(), source }
    }

    /// The one place that maps errors to exit codes.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Provision(
                ProvisionError::Refused(_)
                | ProvisionError::Untrusted { .. }
                | ProvisionError::Libvirt(_)
                | ProvisionError::LibvirtGone { .. }
                | ProvisionError::DomainNotAsWritten { is_foreign: true, .. }
                | ProvisionError::OtherDomain { .. }
                | ProvisionError::Domain(DomainError::Refused(_)),
            )
            | Self::OtherSystem(_)
            | Self::GlassAsRoot
            | Self::Glass { .. }
            | Self::StillSetUp
            | Self::RefusedAsShown
            | Self::NoTerminal { .. }
            | Self::NobodyAnswered { .. }
            | Self::NotRoot
            | Self::Untrusted(_) => ExitCode::Refused,
            Self::Provision(
                ProvisionError::Answers { .. } | ProvisionError::Domain(DomainError::Template(_)),
            )
            | Self::Capabilities { .. }
            | Self::Answers { .. }
            | Self::Capture { .. }
            | Self::Plan { .. }
            | Self::TwoFiles(_)
            | Self::DemoRoots
            | Self::File { attempt: "read" | "open" | "look at", .. } => ExitCode::Usage,
            Self::Provision(ProvisionError::Apply(error)) => match error.kind() {
                ErrorKind::Failed => ExitCode::Failed,
                ErrorKind::Refused => ExitCode::Refused,
                ErrorKind::Changed => ExitCode::Changed,
                ErrorKind::NotPutBack => ExitCode::NotPutBack,
            },
            Self::Upkeep(_)
            | Self::Provision(
                ProvisionError::MachineChanged(_)
                | ProvisionError::CutOff
                | ProvisionError::DomainNotAsWritten { is_foreign: false, .. },
            ) => ExitCode::Changed,
            Self::Provision(ProvisionError::Define(DefineError { left, .. })) if !left.is_empty() => {
                ExitCode::NotPutBack
            }
            Self::NotGivenBack(_) => ExitCode::NotPutBack,
            Self::Interrupted | Self::PutBack { .. } => ExitCode::Interrupted,
            Self::Provision(
                ProvisionError::Machine(_)
                | ProvisionError::Facts(_)
                | ProvisionError::Read(_)
                | ProvisionError::Image(_)
                | ProvisionError::Domains(_)
                | ProvisionError::Define(_)
                | ProvisionError::Trial(_)
                | ProvisionError::FirstBoot(_),
            )
            | Self::File { .. }
            | Self::Boots(_)
            | Self::Rebind(_)
            | Self::Witness(_)
            | Self::GlassWaited { .. }
            | Self::GlassRun(_)
            | Self::GlassEnded(_)
            | Self::Output(_)
            | Self::Signals(_)
            | Self::Json(_) => ExitCode::Failed,
        }
    }

    /// How the steps ended, where some had begun.
    pub(crate) fn steps(&self) -> Vec<StepOutcome> {
        match self {
            Self::Provision(ProvisionError::Apply(ApplyError::Failed(failure))) => failure.steps.clone(),
            Self::Provision(ProvisionError::Define(error)) => error.steps.clone(),
            Self::PutBack { steps } => steps.clone(),
            _ => Vec::new(),
        }
    }

    /// The error and its causes.
    pub(crate) fn message(&self) -> String {
        let mut message = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = error.source();
        }
        message
    }

    /// Prints the error, its causes, and what to do.
    pub(crate) fn print(&self) {
        let message = self.message();
        let label = format!("{} ", style("error:").for_stderr().red().bold());
        narrate::line(&wrapped_for_stderr(&message, &label, "       "));
        for hint in self.hints() {
            let label = format!("{}  ", style("hint:").for_stderr().cyan().bold());
            narrate::line(&wrapped_for_stderr(&hint, &label, "       "));
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Provision(ProvisionError::Refused(decision)) => hints_of(decision),
            Self::Provision(ProvisionError::Answers { problem, .. }) | Self::Answers { problem, .. } => {
                problem.hint.iter().cloned().collect()
            }
            Self::Provision(ProvisionError::Apply(error)) => error.hint().into_iter().collect(),
            Self::Provision(ProvisionError::CutOff) => vec![
                "`neuron-provisioner apply` puts that back first and then goes on; `revert` puts it back"
                    .to_owned(),
            ],
            Self::Provision(ProvisionError::Untrusted { path }) => {
                vec![format!("chown root:root {path}; chmod go-w {path}")]
            }
            Self::Untrusted(path) => {
                let path = path.display();
                vec![format!("chown root:root {path}; chmod go-w {path}")]
            }
            Self::Provision(ProvisionError::Machine(FactsError::NoPci)) => {
                vec![
                    "give the root of a running system, or a file that `capture` wrote, as --machine-root"
                        .to_owned(),
                ]
            }
            Self::Plan { problem: InvalidPlan::Changed { .. }, .. } => {
                vec!["make it anew with `neuron-provisioner plan --out FILE`".to_owned()]
            }
            Self::TwoFiles(_) => vec!["leave one of the two out".to_owned()],
            Self::DemoRoots => vec![
                "leave --machine-root, --target-root and --answers out, or give them to `plan`".to_owned(),
            ],
            Self::Provision(ProvisionError::Domain(DomainError::Refused(problems))) => {
                problems.iter().map(|problem| format!("{}: {}", problem.key, problem.hint)).collect()
            }
            Self::Provision(ProvisionError::FirstBoot(_)) => vec![
                "`neuron-provisioner apply` or `revert` says what is wanted, and takes its place".to_owned(),
            ],
            Self::StillSetUp => vec![
                "run `neuron-provisioner revert` first, and reboot; to remove the package all the same and keep \
                 the set-up as it is, delete /usr/share/libalpm/hooks/05-neuron-removed.hook first"
                    .to_owned(),
            ],
            Self::Upkeep(_) => vec![
                "`neuron-provisioner doctor` says what is wrong, `neuron-provisioner plan` what an apply would do"
                    .to_owned(),
            ],
            Self::Provision(ProvisionError::Libvirt(LibvirtError::Missing { .. })) => vec![
                "install libvirt and its client, and start its daemon".to_owned(),
            ],
            Self::Provision(ProvisionError::Libvirt(LibvirtError::Said { .. })) => vec![format!(
                "if libvirt is not running: `{}`; what it says about itself is in `journalctl -b -t libvirtd -t virtqemud`",
                roots::how_to_start_libvirt()
            )],
            Self::Provision(ProvisionError::LibvirtGone { name, said, .. }) => libvirt_is_gone(name, said),
            Self::Provision(ProvisionError::DomainNotAsWritten { is_foreign: true, .. }) => vec![
                "choose another name for the table of the answers; or `vm define --replace` takes it over and keeps \
                 what it was"
                    .to_owned(),
            ],
            Self::Provision(ProvisionError::DomainNotAsWritten { is_foreign: false, name }) => vec![format!(
                "look at it with `virsh dumpxml --inactive {name}`; `vm define --replace` puts ours in its place and \
                 keeps what it is now"
            )],
            Self::Provision(ProvisionError::OtherDomain { renamed: None, .. }) => vec![
                "rename or undefine that one first: `virsh domrename`, `virsh undefine`".to_owned(),
            ],
            Self::Provision(ProvisionError::OtherDomain { name, renamed: Some(now) }) => vec![format!(
                "give it its name back first: `virsh domrename {now} {name}`; or `virsh undefine {now}`"
            )],
            Self::Provision(ProvisionError::Domains(_)) => vec![
                "move the file away; then define the virtual machines again".to_owned(),
            ],
            Self::Provision(ProvisionError::Define(error)) if !error.left.is_empty() => {
                error.left.iter().map(|left| format!("not put back: {left}")).collect()
            }
            Self::GlassAsRoot => vec![
                "run it as yourself, without `sudo`; looking_glass.users in the answers says who may see the picture"
                    .to_owned(),
            ],
            Self::Glass { hint, .. } => vec![hint.clone()],
            Self::GlassWaited { .. } => vec!["start it with `virsh start`, or in virt-manager".to_owned()],
            Self::GlassRun(error) if error.kind() == io::ErrorKind::NotFound => {
                vec!["install the client (package looking-glass)".to_owned()]
            }
            Self::GlassEnded(_) => vec!["what it said above tells why".to_owned()],
            Self::OtherSystem(_) => vec![
                "boot that system and run this there; or name the libvirt that is meant with --connect".to_owned(),
            ],
            Self::NotGivenBack(_) => vec![
                "start the entry without GPU passthrough from the boot menu, or put neuron.passthrough=off on \
                 the kernel command line"
                    .to_owned(),
            ],
            Self::NobodyAnswered { .. } => vec![
                "nothing was written; `neuron-provisioner wizard`, as root, asks again".to_owned(),
            ],
            Self::NotRoot => vec!["start it with `sudo`, or as root".to_owned()],
            Self::NoTerminal { hint, .. } => vec![(*hint).to_owned()],
            _ => Vec::new(),
        }
    }
}

/// The hints where the libvirt that has a domain does not answer.
fn libvirt_is_gone(name: &str, said: &LibvirtError) -> Vec<String> {
    let back = match said {
        LibvirtError::Missing { .. } => "install libvirt and its client again".to_owned(),
        LibvirtError::Said { .. } => {
            format!("if it is this system's, `{}`", roots::how_to_start_libvirt())
        }
    };
    vec![
        format!("{back}; then do this once more"),
        format!("if it is gone for good: `neuron-provisioner vm undefine {name} --forget`"),
    ]
}

/// The hints of what stands in the way: of the blockers, or of what the question is about.
fn hints_of(decision: &Decision) -> Vec<String> {
    let asked = decision.verdict == Verdict::Ask;
    let matters =
        |severity: Severity| severity == Severity::Blocker || (asked && severity == Severity::Warning);
    decision
        .findings
        .iter()
        .filter(|finding| matters(finding.severity) || finding.code == Code::StillApplied)
        .map(|finding| finding.hint.clone())
        .collect()
}
