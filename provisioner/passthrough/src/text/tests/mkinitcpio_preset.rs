use std::process::Command;

use super::*;

const ARCH: &str = "# mkinitcpio preset file\n\n#ALL_config=\"/etc/mkinitcpio.conf\"\nALL_kver=\"/boot/vmlinuz-linux\"\n\n\
                    PRESETS=('default' 'fallback')\n\n#default_config=\"/etc/mkinitcpio.conf\"\n\
                    default_image=\"/boot/initramfs-linux.img\"\n#default_uki=\"/efi/x.efi\"\n\n\
                    fallback_image=\"/boot/initramfs-linux-fallback.img\"\nfallback_options=\"-S autodetect\"\n";

fn configs(text: &str) -> Vec<(String, usize, String)> {
    let uses = Presets::parse(text).unwrap().configs().unwrap();
    uses.into_iter().map(|used| (used.preset, used.line, used.path)).collect()
}

#[test]
fn a_stock_preset_names_no_configuration() {
    let presets = Presets::parse(ARCH).unwrap();
    assert_eq!(presets.active().collect::<Vec<_>>(), ["default", "fallback"]);
    assert_eq!(presets.kernel("default"), Some("/boot/vmlinuz-linux"));
    assert_eq!(presets.configs().unwrap(), []);
    let images: Vec<_> =
        presets.images().into_iter().map(|image| (image.line, image.path, image.unified)).collect();
    assert_eq!(
        images,
        [
            (9, "/boot/initramfs-linux.img".to_owned(), false),
            (12, "/boot/initramfs-linux-fallback.img".to_owned(), false)
        ]
    );
}

#[test]
fn every_way_to_name_a_configuration() {
    for (text, wanted) in [
        (
            "ALL_config=/e/m\nPRESETS=(a b)\na_image=x\nb_uki=y\nb_config='/own'\n",
            &[("a", 1, "/e/m"), ("b", 5, "/own")][..],
        ),
        ("PRESETS=(a)\na_image=x\na_options='-n -c /c'\n", &[("a", 3, "/c")]),
        ("PRESETS=(a)\na_image=x\na_options=(-n --config '/c d')\n", &[("a", 3, "/c d")]),
        ("PRESETS=(a)\na_image=x\na_options='--config=/c'\na_config=/d\n", &[("a", 3, "/c")]),
        ("PRESETS=(a)\na_image=x\na_options='-nc/c -S -c'\n", &[("a", 3, "/c")]),
        ("PRESETS=(a)\na_image=x\na_options='-S autodetect -- -c /c'\n", &[]),
        ("PRESETS=(a)\na_image=x\na_config=''\n", &[]),
        ("PRESETS=(a)\na_config=/c\n", &[]),
        ("PRESETS=(a)\na_image=x\nb_config=/c\nb_image=y\n", &[]),
        ("ALL_config=/c\n#PRESETS=(a)\na_image=x\n", &[]),
        ("PRESETS='a'\na_image=x\r\nALL_config=/c\r\n", &[("a", 3, "/c")]),
    ] {
        let wanted: Vec<_> = wanted.iter().map(|&(a, b, c)| (a.to_owned(), b, c.to_owned())).collect();
        assert_eq!(configs(text), wanted, "{text:?}");
    }
}

#[test]
fn what_only_bash_could_tell_is_refused() {
    let error = Presets::parse("A=1\nPRESETS=($X)\n").unwrap_err();
    assert_eq!((error.line, error.value.as_str()), (Some(2), "PRESETS"));
    assert!(Presets::parse("PRESETS=\"default fallback\"\n").is_err());
    let presets = Presets::parse("PRESETS=(a)\na_image=x\na_config=\"$X/c\"\n").unwrap();
    assert_eq!(presets.configs().unwrap_err().line, Some(3));
}

/// The words that mkinitcpio would get from bash for the first preset.
#[test]
fn bash_agrees() {
    for text in [
        ARCH,
        "ALL_config=/e/m\nPRESETS=(a)\na_image=x\na_config=\n",
        "ALL_config=\"/e/m\" # x\nPRESETS=(\n'a' # b\n)\na_image=x\na_config='/own'\n",
    ] {
        let script = format!(
            "{text}\np=${{PRESETS[0]}}; c=${{p}}_config; k=${{p}}_kver; i=${{p}}_image; \
             printf '%s\\n' \"$p\" \"${{!c:-$ALL_config}}\" \"${{!k:-$ALL_kver}}\" \"${{!i}}\""
        );
        let output = Command::new("bash").arg("-c").arg(script).env_clear().output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let presets = Presets::parse(text).unwrap();
        let name = presets.active().next().unwrap();
        let config = presets.configs().unwrap().first().map(|used| used.path.clone()).unwrap_or_default();
        let image = presets.images()[0].path.clone();
        let ours = [name, &config, presets.kernel(name).unwrap_or_default(), &image];
        assert_eq!(stdout.lines().collect::<Vec<_>>(), ours, "{text:?}");
    }
}
