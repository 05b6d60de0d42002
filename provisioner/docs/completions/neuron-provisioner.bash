_neuron__provisioner() {
    local i cur prev opts cmd
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="neuron__provisioner"
                ;;
            neuron__provisioner,apply)
                cmd="neuron__provisioner__subcmd__apply"
                ;;
            neuron__provisioner,capture)
                cmd="neuron__provisioner__subcmd__capture"
                ;;
            neuron__provisioner,confirm)
                cmd="neuron__provisioner__subcmd__confirm"
                ;;
            neuron__provisioner,demo)
                cmd="neuron__provisioner__subcmd__demo"
                ;;
            neuron__provisioner,doctor)
                cmd="neuron__provisioner__subcmd__doctor"
                ;;
            neuron__provisioner,help)
                cmd="neuron__provisioner__subcmd__help"
                ;;
            neuron__provisioner,inspect)
                cmd="neuron__provisioner__subcmd__inspect"
                ;;
            neuron__provisioner,looking-glass)
                cmd="neuron__provisioner__subcmd__looking__subcmd__glass"
                ;;
            neuron__provisioner,plan)
                cmd="neuron__provisioner__subcmd__plan"
                ;;
            neuron__provisioner,revert)
                cmd="neuron__provisioner__subcmd__revert"
                ;;
            neuron__provisioner,status)
                cmd="neuron__provisioner__subcmd__status"
                ;;
            neuron__provisioner,validate)
                cmd="neuron__provisioner__subcmd__validate"
                ;;
            neuron__provisioner,vm)
                cmd="neuron__provisioner__subcmd__vm"
                ;;
            neuron__provisioner,wizard)
                cmd="neuron__provisioner__subcmd__wizard"
                ;;
            neuron__provisioner__subcmd__help,apply)
                cmd="neuron__provisioner__subcmd__help__subcmd__apply"
                ;;
            neuron__provisioner__subcmd__help,capture)
                cmd="neuron__provisioner__subcmd__help__subcmd__capture"
                ;;
            neuron__provisioner__subcmd__help,confirm)
                cmd="neuron__provisioner__subcmd__help__subcmd__confirm"
                ;;
            neuron__provisioner__subcmd__help,demo)
                cmd="neuron__provisioner__subcmd__help__subcmd__demo"
                ;;
            neuron__provisioner__subcmd__help,doctor)
                cmd="neuron__provisioner__subcmd__help__subcmd__doctor"
                ;;
            neuron__provisioner__subcmd__help,help)
                cmd="neuron__provisioner__subcmd__help__subcmd__help"
                ;;
            neuron__provisioner__subcmd__help,inspect)
                cmd="neuron__provisioner__subcmd__help__subcmd__inspect"
                ;;
            neuron__provisioner__subcmd__help,looking-glass)
                cmd="neuron__provisioner__subcmd__help__subcmd__looking__subcmd__glass"
                ;;
            neuron__provisioner__subcmd__help,plan)
                cmd="neuron__provisioner__subcmd__help__subcmd__plan"
                ;;
            neuron__provisioner__subcmd__help,revert)
                cmd="neuron__provisioner__subcmd__help__subcmd__revert"
                ;;
            neuron__provisioner__subcmd__help,status)
                cmd="neuron__provisioner__subcmd__help__subcmd__status"
                ;;
            neuron__provisioner__subcmd__help,validate)
                cmd="neuron__provisioner__subcmd__help__subcmd__validate"
                ;;
            neuron__provisioner__subcmd__help,vm)
                cmd="neuron__provisioner__subcmd__help__subcmd__vm"
                ;;
            neuron__provisioner__subcmd__help,wizard)
                cmd="neuron__provisioner__subcmd__help__subcmd__wizard"
                ;;
            neuron__provisioner__subcmd__help__subcmd__looking__subcmd__glass,client)
                cmd="neuron__provisioner__subcmd__help__subcmd__looking__subcmd__glass__subcmd__client"
                ;;
            neuron__provisioner__subcmd__help__subcmd__looking__subcmd__glass,status)
                cmd="neuron__provisioner__subcmd__help__subcmd__looking__subcmd__glass__subcmd__status"
                ;;
            neuron__provisioner__subcmd__help__subcmd__vm,define)
                cmd="neuron__provisioner__subcmd__help__subcmd__vm__subcmd__define"
                ;;
            neuron__provisioner__subcmd__help__subcmd__vm,guide)
                cmd="neuron__provisioner__subcmd__help__subcmd__vm__subcmd__guide"
                ;;
            neuron__provisioner__subcmd__help__subcmd__vm,render)
                cmd="neuron__provisioner__subcmd__help__subcmd__vm__subcmd__render"
                ;;
            neuron__provisioner__subcmd__help__subcmd__vm,undefine)
                cmd="neuron__provisioner__subcmd__help__subcmd__vm__subcmd__undefine"
                ;;
            neuron__provisioner__subcmd__looking__subcmd__glass,client)
                cmd="neuron__provisioner__subcmd__looking__subcmd__glass__subcmd__client"
                ;;
            neuron__provisioner__subcmd__looking__subcmd__glass,help)
                cmd="neuron__provisioner__subcmd__looking__subcmd__glass__subcmd__help"
                ;;
            neuron__provisioner__subcmd__looking__subcmd__glass,status)
                cmd="neuron__provisioner__subcmd__looking__subcmd__glass__subcmd__status"
                ;;
            neuron__provisioner__subcmd__looking__subcmd__glass__subcmd__help,client)
                cmd="neuron__provisioner__subcmd__looking__subcmd__glass__subcmd__help__subcmd__client"
                ;;
            neuron__provisioner__subcmd__looking__subcmd__glass__subcmd__help,help)
                cmd="neuron__provisioner__subcmd__looking__subcmd__glass__subcmd__help__subcmd__help"
                ;;
            neuron__provisioner__subcmd__looking__subcmd__glass__subcmd__help,status)
                cmd="neuron__provisioner__subcmd__looking__subcmd__glass__subcmd__help__subcmd__status"
                ;;
            neuron__provisioner__subcmd__vm,define)
                cmd="neuron__provisioner__subcmd__vm__subcmd__define"
                ;;
            neuron__provisioner__subcmd__vm,guide)
                cmd="neuron__provisioner__subcmd__vm__subcmd__guide"
                ;;
            neuron__provisioner__subcmd__vm,help)
                cmd="neuron__provisioner__subcmd__vm__subcmd__help"
                ;;
            neuron__provisioner__subcmd__vm,render)
                cmd="neuron__provisioner__subcmd__vm__subcmd__render"
                ;;
            neuron__provisioner__subcmd__vm,undefine)
                cmd="neuron__provisioner__subcmd__vm__subcmd__undefine"
                ;;
            neuron__provisioner__subcmd__vm__subcmd__help,define)
                cmd="neuron__provisioner__subcmd__vm__subcmd__help__subcmd__define"
                ;;
            neuron__provisioner__subcmd__vm__subcmd__help,guide)
                cmd="neuron__provisioner__subcmd__vm__subcmd__help__subcmd__guide"
                ;;
            neuron__provisioner__subcmd__vm__subcmd__help,help)
                cmd="neuron__provisioner__subcmd__vm__subcmd__help__subcmd__help"
                ;;
            neuron__provisioner__subcmd__vm__subcmd__help,render)
                cmd="neuron__provisioner__subcmd__vm__subcmd__help__subcmd__render"
                ;;
            neuron__provisioner__subcmd__vm__subcmd__help,undefine)
                cmd="neuron__provisioner__subcmd__vm__subcmd__help__subcmd__undefine"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        neuron__provisioner)
            opts="-q -v -h -V --machine-root --target-root --answers --json --quiet --verbose --color --help --version inspect plan apply wizard revert status confirm doctor validate vm looking-glass demo capture help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__apply)
            opts="-y -q -v -h -V --plan --yes --no-reload --machine-root --target-root --answers --json --quiet --verbose --color --help --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --plan)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__capture)
            opts="-o -q -v -h -V --output --machine-root --target-root --answers --json --quiet --verbose --color --help --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --output)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -o)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__confirm)
            opts="-q -v -h -V --unproven --no-reload --machine-root --target-root --answers --json --quiet --verbose --color --help --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__demo)
            opts="-q -v -h -V --keep --wizard --plain --machine-root --target-root --answers --json --quiet --verbose --color --help --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__doctor)
            opts="-q -v -h -V --machine-root --target-root --answers --json --quiet --verbose --color --help --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help)
            opts="inspect plan apply wizard revert status confirm doctor validate vm looking-glass demo capture help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__apply)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__capture)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__confirm)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__demo)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__doctor)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__help)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__inspect)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__looking__subcmd__glass)
            opts="status client"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__looking__subcmd__glass__subcmd__client)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__looking__subcmd__glass__subcmd__status)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__plan)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__revert)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__status)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__validate)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__vm)
            opts="render guide define undefine"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__vm__subcmd__define)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__vm__subcmd__guide)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__vm__subcmd__render)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__vm__subcmd__undefine)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__help__subcmd__wizard)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__inspect)
            opts="-q -v -h -V --machine-root --target-root --answers --json --quiet --verbose --color --help --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__looking__subcmd__glass)
            opts="-q -v -h -V --machine-root --target-root --answers --json --quiet --verbose --color --help --version status client help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__looking__subcmd__glass__subcmd__client)
            opts="-q -v -h -V --full-screen --wait --machine-root --target-root --answers --json --quiet --verbose --color --help --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --wait)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__looking__subcmd__glass__subcmd__help)
            opts="status client help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__looking__subcmd__glass__subcmd__help__subcmd__client)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__looking__subcmd__glass__subcmd__help__subcmd__help)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__looking__subcmd__glass__subcmd__help__subcmd__status)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__looking__subcmd__glass__subcmd__status)
            opts="-q -v -h -V --machine-root --target-root --answers --json --quiet --verbose --color --help --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__plan)
            opts="-q -v -h -V --check --out --machine-root --target-root --answers --json --quiet --verbose --color --help --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --out)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__revert)
            opts="-y -q -v -h -V --yes --no-reload --machine-root --target-root --answers --json --quiet --verbose --color --help --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__status)
            opts="-q -v -h -V --machine-root --target-root --answers --json --quiet --verbose --color --help --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__validate)
            opts="-q -v -h -V --machine-root --target-root --answers --json --quiet --verbose --color --help --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__vm)
            opts="-q -v -h -V --machine-root --target-root --answers --json --quiet --verbose --color --help --version render guide define undefine help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__vm__subcmd__define)
            opts="-y -q -v -h -V --connect --replace --yes --machine-root --target-root --answers --json --quiet --verbose --color --help --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --connect)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__vm__subcmd__guide)
            opts="-q -v -h -V --machine-root --target-root --answers --json --quiet --verbose --color --help --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__vm__subcmd__help)
            opts="render guide define undefine help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__vm__subcmd__help__subcmd__define)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__vm__subcmd__help__subcmd__guide)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__vm__subcmd__help__subcmd__help)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__vm__subcmd__help__subcmd__render)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__vm__subcmd__help__subcmd__undefine)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__vm__subcmd__render)
            opts="-q -v -h -V --capabilities --connect --machine-root --target-root --answers --json --quiet --verbose --color --help --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --capabilities)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --connect)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__vm__subcmd__undefine)
            opts="-y -q -v -h -V --connect --forget-firmware --forget --yes --machine-root --target-root --answers --json --quiet --verbose --color --help --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --connect)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        neuron__subcmd__provisioner__subcmd__wizard)
            opts="-q -v -h -V --plain --idle-timeout --no-reload --machine-root --target-root --answers --json --quiet --verbose --color --help --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --idle-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --machine-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target-root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --answers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _neuron__provisioner -o nosort -o bashdefault -o default neuron-provisioner
else
    complete -F _neuron__provisioner -o bashdefault -o default neuron-provisioner
fi
