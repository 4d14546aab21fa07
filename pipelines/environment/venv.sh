#!/bin/sh
# Make .venv (argument 1) with the locked packages and the project itself; run from the project's root.
set -eu
venv=$1

usable() { # a Python of the right version that can also make environments (Debian splits ensurepip off)
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null &&
        { [ -n "$uv" ] || "$1" -c 'import ensurepip, venv' 2>/dev/null; }
}

# A version manager's shim may stand on PATH and still not run.
uv=
if uv --version >/dev/null 2>&1; then uv=uv; fi

python=
for candidate in python3.11 python3 python3.12 /usr/bin/python3.11 /usr/bin/python3; do
    if usable "$candidate"; then python=$candidate; break; fi
done
if [ -z "$python" ] && ! "$venv/bin/python" -c '' 2>/dev/null; then
    echo "error: Python 3.11 or 3.12 with its venv module is needed and none was found on PATH; install it (Debian: apt-get install python3-venv) and run again." >&2
    exit 1
fi

if ! { "$venv/bin/python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' &&
    { [ -n "$uv" ] || "$venv/bin/python" -m pip --version; }; } >/dev/null 2>&1; then
    rm -rf "$venv"
    if [ -n "$uv" ]; then $uv venv -q --python "$("$python" -c 'import sys; print(sys.executable)')" "$venv"; else "$python" -m venv "$venv"; fi
fi

echo "Python: installing the locked packages into $venv (the first time: some 3 GB)"
# No build isolation: it would fetch a build tool that no hash was locked for; the lock's setuptools does.
if [ -n "$uv" ]; then
    export VIRTUAL_ENV="$PWD/$venv"
    # Where Python may not write bytecode itself, every process would compile its imports anew: half a minute for torch.
    $uv pip install -q --compile-bytecode --require-hashes -r requirements.lock
    $uv pip install -q --no-deps --no-build-isolation -e .
else
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
fi
