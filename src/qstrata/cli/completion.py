"""`completion`: the script that lets a shell complete commands, options and live names."""

from typing import Annotated, Literal

from cyclopts import Parameter

from qstrata.cli.tables import out

Shell = Annotated[Literal["bash", "zsh", "fish"], Parameter(help="The shell.")]

_BASH = r"""
# Completion of qstrata for bash: put `eval "$(qstrata completion bash)"` into ~/.bashrc.
_qstrata() {
    local line="${COMP_LINE:0:COMP_POINT}" current apart candidate
    local -a words
    read -ra words <<< "$line"
    [[ "$line" == *[[:space:]] ]] && words+=("")
    current="${words[${#words[@]} - 1]}"
    # Bash takes what stands before a colon or an equals sign for a word of its own.
    apart="${current%"${current##*[:=]}"}"
    COMPREPLY=()
    while IFS= read -r candidate; do
        COMPREPLY+=("${candidate#"$apart"}")
    done < <("$1" _complete "${words[@]:1}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == */ ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -F _qstrata qstrata
"""

_ZSH = r"""
#compdef qstrata
# Completion of qstrata for zsh: put `eval "$(qstrata completion zsh)"` into ~/.zshrc, after compinit.
_qstrata() {
    local -a candidates
    candidates=("${(@f)$("${words[1]}" _complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    candidates=(${candidates:#})
    compadd -S '' -- ${(M)candidates:#*/}
    compadd -- ${candidates:#*/}
}
if [[ "${funcstack[1]}" == _qstrata ]]; then
    _qstrata "$@"
else
    compdef _qstrata qstrata
fi
"""

_FISH = r"""
# Completion of qstrata for fish: qstrata completion fish > ~/.config/fish/completions/qstrata.fish
function __qstrata_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    $before[1] _complete $before[2..-1] "$current" 2>/dev/null
end
complete -c qstrata -f -a '(__qstrata_complete)'
"""

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def completion(shell: Shell, /) -> None:
    """Print the script that lets a shell complete commands, options, and the names of networks that are up.

    For bash: `eval "$(qstrata completion bash)"` in ~/.bashrc; for zsh the same in ~/.zshrc; for fish
    `qstrata completion fish > ~/.config/fish/completions/qstrata.fish`.
    """
    out(_SCRIPTS[shell].strip())
