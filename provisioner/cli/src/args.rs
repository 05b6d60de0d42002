//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

/// Sets up GPU passthrough: hands a GPU of this machine to a virtual machine, safely and revertibly.
///
/// Start with `inspect`, which only looks. Every change is shown by `plan` before `apply` makes it,
/// and `revert` puts everything back byte for byte.
#[derive(Debug, Parser)]
#[command(name = "neuron-provisioner", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done, or nothing to do
  1    failed, everything put back
  2    usage error, or invalid answers
  3    refused as unsafe or undecided; nothing was written
  4    done, and a reboot is needed
  5    the target changed since it was planned or applied
  6    failed, and not everything could be put back
  7    plan --check: something would change
  130  interrupted; nothing was written, or everything was put back";

/// Options that every verb knows.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// Read the hardware from this directory instead of "/", or from a file that `capture` wrote
    #[arg(long, global = true, value_name = "PATH", default_value = "/")]
    pub(crate) machine_root: PathBuf,
    /// Change the system in this directory instead of "/"
    #[arg(long, global = true, value_name = "DIR", default_value = "/")]
    pub(crate) target_root: PathBuf,
    /// Follow this answers file instead of the target's /etc/neuron/provisioner.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) answers: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print nothing but results and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Say more about what is done; twice for everything
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    pub(crate) fn apply(self) {
        let on = match self {
            Self::Auto => {
                // console looks at CLICOLOR; NO_COLOR (no-color.org) is what people set.
                if std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) {
                    return;
                }
                false
            }
            Self::Always => true,
            Self::Never => false,
        };
        console::set_colors_enabled(on);
        console::set_colors_enabled_stderr(on);
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Look at the machine: its GPUs, their IOMMU groups, and what could be given away and why
    Inspect,
    /// Show what would be written, as a diff, with the reasons; writes nothing
    Plan(PlanOptions),
    /// Plan and write
    Apply(ApplyOptions),
    /// Set it up in a dialogue: questions, the plan as a diff, your consent, and what to do next
    ///
    /// Nothing is written before the last page. The answers are kept in
    /// /etc/neuron/provisioner.toml, so that `plan` and `apply` follow them from then on, and on
    /// another machine with --answers. Where something is set up already, every question proposes
    /// what is followed now. "back" goes back, Ctrl-C ends it.
    ///
    /// With `NO_COLOR`, --color never, TERM=dumb, a screen reader (ACCESSIBLE=1, speakup,
    /// accessibility=on on the kernel command line), or a terminal smaller than 72x20 it asks in
    /// numbered lines, without control sequences.
    Wizard(WizardOptions),
    /// Undo everything that was applied, byte for byte
    Revert(RevertOptions),
    /// Say where the set-up stands
    Status,
    /// End the trial: passthrough becomes the default entry of the boot menu
    Confirm(ConfirmOptions),
    /// After the reboot: look whether what was applied holds, with evidence and what to do
    ///
    /// Ends with 1 if a check fails. Warnings, and what could not be told, do not count: before a
    /// reboot that is owed nothing fails for want of it. It also looks at Looking Glass, where that is
    /// wanted, and at the virtual machines that `vm define` defined. With --quiet, only what does not pass is
    /// printed. Works for everybody; what only root can read is told as unknown.
    Doctor,
    /// Check an answers file
    Validate(ValidateOptions),
    /// The libvirt domain of a virtual machine
    #[command(subcommand)]
    Vm(VmVerb),
    /// Looking Glass: the guest's picture in a window of the host
    #[command(subcommand)]
    LookingGlass(GlassVerb),
    /// The whole trip on a built-in machine, in a temporary folder: inspect, plan, apply, revert
    Demo(DemoOptions),
    /// Record what this program reads on this machine into one file, for a bug report
    Capture(CaptureOptions),
    /// What the system's own units ask for while it boots; not for people
    #[command(hide = true)]
    Boot(BootOptions),
    /// What the package manager's hooks ask for; not for people
    #[command(hide = true)]
    Package(PackageOptions),
    /// What the units of the first boot ask for; not for people
    #[command(hide = true)]
    Firstboot(FirstbootOptions),
}

#[derive(Debug, clap::Args)]
pub(crate) struct FirstbootOptions {
    #[command(subcommand)]
    pub(crate) part: FirstbootPart,
}

/// The parts of the first boot.
#[derive(Debug, Subcommand)]
pub(crate) enum FirstbootPart {
    /// Do what answers or an installer left to be done, and ask nobody
    Run,
    /// End with 0 if somebody is to be asked on the console, and with 1 if not
    Asks,
    /// Hold the dialogue on the console, and keep how it ended
    Wizard(ConsoleOptions),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConsoleOptions {
    /// Go on without an answer when nobody typed anything for so many seconds
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) seconds: u16,
}

impl Verb {
    /// Whether its document is a `neuron-result/1`.
    pub(crate) fn tells_a_result(&self) -> bool {
        matches!(
            self,
            Self::Apply(_)
                | Self::Revert(_)
                | Self::Confirm(_)
                | Self::Wizard(_)
                | Self::Vm(VmVerb::Define(_) | VmVerb::Undefine(_))
        )
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct BootOptions {
    #[command(subcommand)]
    pub(crate) moment: BootMoment,
}

/// The moments of a boot at which a unit asks.
#[derive(Debug, Subcommand)]
pub(crate) enum BootMoment {
    /// Count this boot; after three in a row that were never good, give the card back
    Begin,
    /// On trial, ask on this terminal whether to keep passthrough; without an answer it goes back
    Ask(AskOptions),
    /// Wait until this boot has shown that it is good, and say so
    Good,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PackageOptions {
    #[command(subcommand)]
    pub(crate) moment: PackageMoment,
}

/// The moments of a package transaction at which a hook asks.
#[derive(Debug, Subcommand)]
pub(crate) enum PackageMoment {
    /// Put in place again what an update undid; the paths that changed come on standard input
    Changed,
    /// Refuse to let our package go while passthrough is set up
    Removed,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PlanOptions {
    /// End with 7 if something would change
    #[arg(long)]
    pub(crate) check: bool,
    /// Save the plan here, for `apply --plan`
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ApplyOptions {
    /// Apply this saved plan instead of making one
    #[arg(long, value_name = "FILE", conflicts_with = "answers")]
    pub(crate) plan: Option<PathBuf>,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Leave building the initramfs and the boot menu to somebody else
    #[arg(long)]
    pub(crate) no_reload: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct WizardOptions {
    /// Ask in numbered lines, without control sequences
    #[arg(long)]
    pub(crate) plain: bool,
    /// Give up when nobody typed anything for so long
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) idle_timeout: Option<u32>,
    /// Leave building the initramfs and the boot menu to somebody else
    #[arg(long)]
    pub(crate) no_reload: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RevertOptions {
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Leave building the initramfs and the boot menu to somebody else
    #[arg(long)]
    pub(crate) no_reload: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AskOptions {
    /// How many seconds to wait for a key
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) seconds: u16,
}

#[derive(Debug, Default, clap::Args)]
pub(crate) struct ConfirmOptions {
    /// Also where passthrough is not in force in this boot: nothing shows that there is a picture with it
    #[arg(long)]
    pub(crate) unproven: bool,
    /// Leave making the boot menu to somebody else
    #[arg(long)]
    pub(crate) no_reload: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ValidateOptions {
    /// The answers file; without it, --answers or the target's own
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VmVerb {
    /// Print the domain's XML, made from the answers and this machine; defines nothing
    Render(RenderOptions),
    /// Print what has to be done inside a Windows machine, step by step, for the choices of its answers
    Guide(GuideOptions),
    /// Define the domain, with its disk and its network; defining it again follows changed answers
    ///
    /// A disk that is there is never touched; one that was there when it was defined and is away is not made
    /// anew, and another machine's is refused without --replace. A domain of that name that somebody else defined, or that
    /// was changed since, is refused without --replace, and kept in /var/lib/neuron-provisioner with it.
    /// UUID, network address and machine type stay what they were. `revert` takes the domain back.
    Define(DefineOptions),
    /// Take a domain back that `define` made; its disk stays
    Undefine(UndefineOptions),
}

#[derive(Debug, Subcommand)]
pub(crate) enum GlassVerb {
    /// Say how the memory stands that brings the picture here: size, owner, who uses it
    ///
    /// Ends with 5 if something is not as the answers want it; `doctor` says what to do about that.
    /// Only root sees everybody who uses a memory.
    Status,
    /// Show the picture: wait for the virtual machine, start the Looking Glass client, end with it
    ///
    /// For an ordinary user whom the answers name as one of Looking Glass: root is refused. Ends with 0
    /// when the client or the virtual machine ends, 1 if the client could not start or failed, or if
    /// --wait ran out, 3 for root and for who may not open the memory, 130 after Ctrl-C.
    Client(ClientOptions),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ClientOptions {
    /// Which virtual machine of the answers; may be left out where there is one
    pub(crate) name: Option<String>,
    /// Fill the whole screen
    #[arg(long)]
    pub(crate) full_screen: bool,
    /// Wait so long for the virtual machine; without this, as long as it takes
    #[arg(long, value_name = "SECONDS")]
    pub(crate) wait: Option<u32>,
    /// Further options for the client, like spice:enable=no
    #[arg(last = true, value_name = "OPTION")]
    pub(crate) more: Vec<String>,
}

/// Which libvirt is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Connection {
    /// Ask this libvirt instead of the one that has the domain, or that of the running system (`qemu:///system`)
    #[arg(long, value_name = "URI")]
    pub(crate) connect: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DefineOptions {
    /// Which virtual machine of the answers; may be left out where there is one
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Take over a domain that somebody else defined or changed, and a disk that another machine has as well
    #[arg(long)]
    pub(crate) replace: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UndefineOptions {
    /// Which virtual machine; may be left out where one is defined
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Delete what its firmware and its TPM remember as well: a disk that is sealed to them opens no more
    #[arg(long)]
    pub(crate) forget_firmware: bool,
    /// Only forget it, where the libvirt that has it is gone for good: one that answers takes it back
    #[arg(long, conflicts_with_all = ["forget_firmware", "connect"])]
    pub(crate) forget: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GuideOptions {
    /// Which virtual machine of the answers; may be left out where there is one
    pub(crate) name: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RenderOptions {
    /// Which virtual machine of the answers; may be left out where there is one
    pub(crate) name: Option<String>,
    /// What `virsh domcapabilities --machine q35` printed, instead of asking libvirt here
    #[arg(long, value_name = "FILE", conflicts_with = "connect")]
    pub(crate) capabilities: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CaptureOptions {
    /// Where to write it; `-` is standard output
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoOptions {
    /// Keep the folder, to look at it and to try the verbs there
    #[arg(long)]
    pub(crate) keep: bool,
    /// Try the wizard instead, on the same machine
    #[arg(long)]
    pub(crate) wizard: bool,
    /// With --wizard: ask in numbered lines, without control sequences
    #[arg(long, requires = "wizard")]
    pub(crate) plain: bool,
}
