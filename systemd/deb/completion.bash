# bash completion for batteryctl

_batteryctl() {
    local verb="" word
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $word in -*) ;; *) verb=$word; break ;; esac
    done
    local words="--json --socket --help"
    case $verb in
        "") words="@VERBS@ $words" ;;
        why) words="charge discharge --all $words" ;;
        log) words="--follow --lines $words" ;;
        reserve | stop | resume) words="--pin-stdin $words" ;;
        device) words="list adopt $words" ;;
        wait) words="--for --timeout up link healthy $words" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}")
}
complete -F _batteryctl batteryctl
