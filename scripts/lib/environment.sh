# Keeps .venv as a lock file says. The other scripts source this from the repository's root.
# scripts/site has an environment of its own, and names it.
venv=.venv

fail() {
    echo "$0: $*" >&2
    exit 1
}

# An activated .venv puts its own python3 first, which is about to be deleted: ask it where it comes from.
find_python() {
    command -v "${PYTHON:-python3}" >/dev/null || fail "python3 is not installed; 3.11 or newer is needed"
    "${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$("${PYTHON:-python3}" -V 2>&1) is too old; 3.11 or newer is needed (PYTHON=... names another)"
    "${PYTHON:-python3}" -c 'import sys; print(sys._base_executable)'
}

# The path belongs to it because the programs in .venv/bin hold it: a moved folder needs a new .venv.
stamp_of() {
    echo "$1 $(cksum <"$1") $("$python" -V) $PWD"
}

is_complete() {
    [ -x $venv/bin/python ] && grep -qxF -- "$(stamp_of "$1")" $venv/complete 2>/dev/null
}

# Debian's python3 comes without ensurepip: root can install it, anyone can unpack Debian's pip.
make_venv() {
    if ! has_ensurepip && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install python3-venv || true
    fi >/dev/null 2>&1
    if has_ensurepip; then
        "$python" -m venv $venv
    else
        "$python" -m venv --without-pip $venv && add_pip
    fi || fail "cannot make $venv; install the package python3-venv, or a Python that has ensurepip"
}

has_ensurepip() {
    "$python" -c 'import ensurepip; ensurepip.version()' 2>/dev/null
}

add_pip() {
    "$python" -m pip --python $venv/bin/python install -qq pip 2>/dev/null && return
    unpacked=$(mktemp -d)
    (cd "$unpacked" && apt-get -qq download python3-pip-whl && dpkg-deb -x python3-pip-whl_*.deb .) &&
        wheel=$(echo "$unpacked"/usr/share/python-wheels/pip-*.whl) &&
        $venv/bin/python "$wheel/pip" install -qq --no-index "$wheel"
    result=$?
    rm -rf "$unpacked"
    return $result
}

# The stamp is written last, so an installation that was cut short is begun anew by the next script.
# What the tests need includes what runs, so scripts/serve is content with either.
install_lock() {
    echo "Installing $1 into $venv ..." >&2
    rm -rf $venv
    make_venv
    $venv/bin/python -m pip install -qq --no-compile --disable-pip-version-check \
        --require-hashes --requirement "$1" >&2 || return
    { stamp_of requirements.lock && stamp_of "$1"; } >$venv/complete
}

# Two scripts started together in a fresh clone take turns; no lock outlives the subshell.
use_environment() {
    python=$(find_python)
    is_complete "$1" && return
    (
        if command -v flock >/dev/null; then flock 9; fi
        is_complete "$1" || install_lock "$1"
    ) 9>$venv.lock
}
