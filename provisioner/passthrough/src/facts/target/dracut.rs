//! dracut's configuration as it stands in a target, in the order in which dracut reads it.

use super::Target;
use crate::id::TargetPath;
use crate::step::FileState;
use crate::text::dracut_conf::{self, Held};
use crate::text::mkinitcpio_conf::version_order;

const MAIN: &str = "/etc/dracut.conf";
const DROP_INS: &str = "/etc/dracut.conf.d";
/// Drop-ins of packages: a file of the same name in `/etc` takes their place.
const SHIPPED: &str = "/usr/lib/dracut/dracut.conf.d";

impl Target {
    /// The files that dracut reads and their texts, in its order.
    pub fn dracut_configuration(&self) -> Vec<(&TargetPath, &str)> {
        let in_etc = |name: &str| {
            let mut own = self.in_directory(DROP_INS);
            own.any(|(path, state)| path.file_name() == name && *state != FileState::Absent)
        };
        let shipped = self.in_directory(SHIPPED).filter(|(path, _)| !in_etc(path.file_name()));
        let mut drop_ins: Vec<_> = self.in_directory(DROP_INS).chain(shipped).collect();
        drop_ins.sort_by(|a, b| version_order(a.0.file_name(), b.0.file_name()));
        let main = self.files.iter().filter(|(path, _)| path.as_str() == MAIN);
        main.chain(drop_ins).filter_map(|(path, state)| Some((path, state.text()?))).collect()
    }

    /// What a variable of dracut's holds in the end.
    pub fn dracut_holds(&self, variable: &str) -> Held {
        dracut_conf::held(self.dracut_configuration().into_iter().map(|(_, text)| text), variable)
    }

    /// Whether dracut builds unified kernel images, as far as can be told without bash.
    pub fn dracut_builds_unified(&self) -> bool {
        self.has("/usr/bin/dracut") && self.dracut_holds("uefi") == Held::Known("yes".to_owned())
    }
}
