# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_neuron_provisioner_global_optspecs
    string join \n machine-root= target-root= answers= json q/quiet v/verbose color= h/help V/version
end

function __fish_neuron_provisioner_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_neuron_provisioner_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_neuron_provisioner_using_subcommand
    set -l cmd (__fish_neuron_provisioner_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -f -a "inspect" -d 'Look at the machine: its GPUs, their IOMMU groups, and what could be given away and why'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -f -a "plan" -d 'Show what would be written, as a diff, with the reasons; writes nothing'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -f -a "apply" -d 'Plan and write'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -f -a "wizard" -d 'Set it up in a dialogue: questions, the plan as a diff, your consent, and what to do next'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -f -a "revert" -d 'Undo everything that was applied, byte for byte'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -f -a "status" -d 'Say where the set-up stands'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -f -a "confirm" -d 'End the trial: passthrough becomes the default entry of the boot menu'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -f -a "doctor" -d 'After the reboot: look whether what was applied holds, with evidence and what to do'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -f -a "validate" -d 'Check an answers file'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -f -a "vm" -d 'The libvirt domain of a virtual machine'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -f -a "looking-glass" -d 'Looking Glass: the guest\'s picture in a window of the host'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -f -a "demo" -d 'The whole trip on a built-in machine, in a temporary folder: inspect, plan, apply, revert'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -f -a "capture" -d 'Record what this program reads on this machine into one file, for a bug report'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand inspect" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand inspect" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand inspect" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand inspect" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand inspect" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand inspect" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand inspect" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand inspect" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand plan" -l out -d 'Save the plan here, for `apply --plan`' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand plan" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand plan" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand plan" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand plan" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand plan" -l check -d 'End with 7 if something would change'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand plan" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand plan" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand plan" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand plan" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand apply" -l plan -d 'Apply this saved plan instead of making one' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand apply" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand apply" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand apply" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand apply" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand apply" -s y -l yes -d 'Do not ask'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand apply" -l no-reload -d 'Leave building the initramfs and the boot menu to somebody else'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand apply" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand apply" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand apply" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand apply" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand apply" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand wizard" -l idle-timeout -d 'Give up when nobody typed anything for so long' -r
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand wizard" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand wizard" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand wizard" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand wizard" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand wizard" -l plain -d 'Ask in numbered lines, without control sequences'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand wizard" -l no-reload -d 'Leave building the initramfs and the boot menu to somebody else'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand wizard" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand wizard" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand wizard" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand wizard" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand wizard" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand revert" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand revert" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand revert" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand revert" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand revert" -s y -l yes -d 'Do not ask'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand revert" -l no-reload -d 'Leave building the initramfs and the boot menu to somebody else'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand revert" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand revert" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand revert" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand revert" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand revert" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand status" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand status" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand status" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand status" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand status" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand status" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand status" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand status" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand confirm" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand confirm" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand confirm" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand confirm" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand confirm" -l unproven -d 'Also where passthrough is not in force in this boot: nothing shows that there is a picture with it'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand confirm" -l no-reload -d 'Leave making the boot menu to somebody else'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand confirm" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand confirm" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand confirm" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand confirm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand confirm" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand doctor" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand doctor" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand doctor" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand doctor" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand doctor" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand doctor" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand doctor" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand doctor" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand validate" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand validate" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand validate" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand validate" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand validate" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand validate" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand validate" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand validate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand validate" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and not __fish_seen_subcommand_from render guide define undefine help" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and not __fish_seen_subcommand_from render guide define undefine help" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and not __fish_seen_subcommand_from render guide define undefine help" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and not __fish_seen_subcommand_from render guide define undefine help" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and not __fish_seen_subcommand_from render guide define undefine help" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and not __fish_seen_subcommand_from render guide define undefine help" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and not __fish_seen_subcommand_from render guide define undefine help" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and not __fish_seen_subcommand_from render guide define undefine help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and not __fish_seen_subcommand_from render guide define undefine help" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and not __fish_seen_subcommand_from render guide define undefine help" -f -a "render" -d 'Print the domain\'s XML, made from the answers and this machine; defines nothing'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and not __fish_seen_subcommand_from render guide define undefine help" -f -a "guide" -d 'Print what has to be done inside a Windows machine, step by step, for the choices of its answers'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and not __fish_seen_subcommand_from render guide define undefine help" -f -a "define" -d 'Define the domain, with its disk and its network; defining it again follows changed answers'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and not __fish_seen_subcommand_from render guide define undefine help" -f -a "undefine" -d 'Take a domain back that `define` made; its disk stays'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and not __fish_seen_subcommand_from render guide define undefine help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from render" -l capabilities -d 'What `virsh domcapabilities --machine q35` printed, instead of asking libvirt here' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from render" -l connect -d 'Ask this libvirt instead of the one that has the domain, or that of the running system (`qemu:///system`)' -r
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from render" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from render" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from render" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from render" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from render" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from render" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from render" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from render" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from render" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from guide" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from guide" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from guide" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from guide" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from guide" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from guide" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from guide" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from guide" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from guide" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from define" -l connect -d 'Ask this libvirt instead of the one that has the domain, or that of the running system (`qemu:///system`)' -r
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from define" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from define" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from define" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from define" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from define" -l replace -d 'Take over a domain that somebody else defined or changed, and a disk that another machine has as well'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from define" -s y -l yes -d 'Do not ask'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from define" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from define" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from define" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from define" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from define" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from undefine" -l connect -d 'Ask this libvirt instead of the one that has the domain, or that of the running system (`qemu:///system`)' -r
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from undefine" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from undefine" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from undefine" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from undefine" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from undefine" -l forget-firmware -d 'Delete what its firmware and its TPM remember as well: a disk that is sealed to them opens no more'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from undefine" -l forget -d 'Only forget it, where the libvirt that has it is gone for good: one that answers takes it back'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from undefine" -s y -l yes -d 'Do not ask'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from undefine" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from undefine" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from undefine" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from undefine" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from undefine" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from help" -f -a "render" -d 'Print the domain\'s XML, made from the answers and this machine; defines nothing'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from help" -f -a "guide" -d 'Print what has to be done inside a Windows machine, step by step, for the choices of its answers'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from help" -f -a "define" -d 'Define the domain, with its disk and its network; defining it again follows changed answers'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from help" -f -a "undefine" -d 'Take a domain back that `define` made; its disk stays'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand vm; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and not __fish_seen_subcommand_from status client help" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and not __fish_seen_subcommand_from status client help" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and not __fish_seen_subcommand_from status client help" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and not __fish_seen_subcommand_from status client help" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and not __fish_seen_subcommand_from status client help" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and not __fish_seen_subcommand_from status client help" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and not __fish_seen_subcommand_from status client help" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and not __fish_seen_subcommand_from status client help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and not __fish_seen_subcommand_from status client help" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and not __fish_seen_subcommand_from status client help" -f -a "status" -d 'Say how the memory stands that brings the picture here: size, owner, who uses it'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and not __fish_seen_subcommand_from status client help" -f -a "client" -d 'Show the picture: wait for the virtual machine, start the Looking Glass client, end with it'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and not __fish_seen_subcommand_from status client help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from status" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from status" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from status" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from status" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from status" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from status" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from client" -l wait -d 'Wait so long for the virtual machine; without this, as long as it takes' -r
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from client" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from client" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from client" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from client" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from client" -l full-screen -d 'Fill the whole screen'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from client" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from client" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from client" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from client" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from client" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from help" -f -a "status" -d 'Say how the memory stands that brings the picture here: size, owner, who uses it'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from help" -f -a "client" -d 'Show the picture: wait for the virtual machine, start the Looking Glass client, end with it'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand looking-glass; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand demo" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand demo" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand demo" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand demo" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand demo" -l keep -d 'Keep the folder, to look at it and to try the verbs there'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand demo" -l wizard -d 'Try the wizard instead, on the same machine'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand demo" -l plain -d 'With --wizard: ask in numbered lines, without control sequences'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand demo" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand demo" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand demo" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand demo" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand capture" -s o -l output -d 'Where to write it; `-` is standard output' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand capture" -l machine-root -d 'Read the hardware from this directory instead of "/", or from a file that `capture` wrote' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand capture" -l target-root -d 'Change the system in this directory instead of "/"' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand capture" -l answers -d 'Follow this answers file instead of the target\'s /etc/neuron/provisioner.toml' -r -F
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand capture" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand capture" -l json -d 'Print the result as JSON'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand capture" -s q -l quiet -d 'Print nothing but results and errors'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand capture" -s v -l verbose -d 'Say more about what is done; twice for everything'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand capture" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand capture" -s V -l version -d 'Print version'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and not __fish_seen_subcommand_from inspect plan apply wizard revert status confirm doctor validate vm looking-glass demo capture help" -f -a "inspect" -d 'Look at the machine: its GPUs, their IOMMU groups, and what could be given away and why'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and not __fish_seen_subcommand_from inspect plan apply wizard revert status confirm doctor validate vm looking-glass demo capture help" -f -a "plan" -d 'Show what would be written, as a diff, with the reasons; writes nothing'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and not __fish_seen_subcommand_from inspect plan apply wizard revert status confirm doctor validate vm looking-glass demo capture help" -f -a "apply" -d 'Plan and write'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and not __fish_seen_subcommand_from inspect plan apply wizard revert status confirm doctor validate vm looking-glass demo capture help" -f -a "wizard" -d 'Set it up in a dialogue: questions, the plan as a diff, your consent, and what to do next'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and not __fish_seen_subcommand_from inspect plan apply wizard revert status confirm doctor validate vm looking-glass demo capture help" -f -a "revert" -d 'Undo everything that was applied, byte for byte'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and not __fish_seen_subcommand_from inspect plan apply wizard revert status confirm doctor validate vm looking-glass demo capture help" -f -a "status" -d 'Say where the set-up stands'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and not __fish_seen_subcommand_from inspect plan apply wizard revert status confirm doctor validate vm looking-glass demo capture help" -f -a "confirm" -d 'End the trial: passthrough becomes the default entry of the boot menu'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and not __fish_seen_subcommand_from inspect plan apply wizard revert status confirm doctor validate vm looking-glass demo capture help" -f -a "doctor" -d 'After the reboot: look whether what was applied holds, with evidence and what to do'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and not __fish_seen_subcommand_from inspect plan apply wizard revert status confirm doctor validate vm looking-glass demo capture help" -f -a "validate" -d 'Check an answers file'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and not __fish_seen_subcommand_from inspect plan apply wizard revert status confirm doctor validate vm looking-glass demo capture help" -f -a "vm" -d 'The libvirt domain of a virtual machine'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and not __fish_seen_subcommand_from inspect plan apply wizard revert status confirm doctor validate vm looking-glass demo capture help" -f -a "looking-glass" -d 'Looking Glass: the guest\'s picture in a window of the host'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and not __fish_seen_subcommand_from inspect plan apply wizard revert status confirm doctor validate vm looking-glass demo capture help" -f -a "demo" -d 'The whole trip on a built-in machine, in a temporary folder: inspect, plan, apply, revert'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and not __fish_seen_subcommand_from inspect plan apply wizard revert status confirm doctor validate vm looking-glass demo capture help" -f -a "capture" -d 'Record what this program reads on this machine into one file, for a bug report'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and not __fish_seen_subcommand_from inspect plan apply wizard revert status confirm doctor validate vm looking-glass demo capture help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and __fish_seen_subcommand_from vm" -f -a "render" -d 'Print the domain\'s XML, made from the answers and this machine; defines nothing'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and __fish_seen_subcommand_from vm" -f -a "guide" -d 'Print what has to be done inside a Windows machine, step by step, for the choices of its answers'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and __fish_seen_subcommand_from vm" -f -a "define" -d 'Define the domain, with its disk and its network; defining it again follows changed answers'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and __fish_seen_subcommand_from vm" -f -a "undefine" -d 'Take a domain back that `define` made; its disk stays'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and __fish_seen_subcommand_from looking-glass" -f -a "status" -d 'Say how the memory stands that brings the picture here: size, owner, who uses it'
complete -c neuron-provisioner -n "__fish_neuron_provisioner_using_subcommand help; and __fish_seen_subcommand_from looking-glass" -f -a "client" -d 'Show the picture: wait for the virtual machine, start the Looking Glass client, end with it'
