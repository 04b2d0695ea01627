#!/bin/sh
#   server -- internet
# What a person mistypes is refused in one line that names it, with status 2, by every program; the server
# and the policy it has stay as they were. The tunnel takes its file the way the help shows it.
. "$(dirname "$0")/../lab/e2e.sh"
topology <<EOF
internet 203.0.113.0/24
host server on internet
EOF
lab_main "$@"

bin=${WEFT_BUILD:?}/src/prog
for program in weft weftd weft-control weft-relay; do
	[ -x "$bin/$program" ] || skip "$program is not built"
done
dir=$LAB_DIR/state
mkdir -p "$dir"
printf 'state_dir: %s\nlisten: %s:80\n' "$dir/control" "$(lab ip server)" >"$dir/control.yaml"

# misuse WHAT PATTERN PROGRAM ARG...: one line that matches, status 2
misuse() {
	what=$1 pattern=$2 program=$3
	shift 3
	said=$(on server timeout 20 "$bin/$program" "$@" 2>&1 </dev/null)
	status=$?
	equal "$what: status" "$status" 2
	equal "$what: one line" "$(printf '%s\n' "$said" | wc -l)" 1
	check "$what: named" sh -c 'printf "%s" "$1" | grep -q -e "$2"' - "$said" "$pattern"
}
admin() { on server timeout 20 "$bin/weft-control" --config "$dir/control.yaml" "$@"; }

misuse "a word for logout" "takes no words.*'work'" weft logout work
misuse "an unknown option behind the node" "cc" weft ping host --cc 2
misuse "no command" "unknown command ''" weft ""
misuse "a long device name" "1 to 15 characters" weftd --tun sixteen--letters
misuse "seven threads" "0, 2 or -1, not '7'" weftd --threads 7
misuse "an unknown option of the tunnel" "no option --nosuch" weftd tunnel --nosuch
misuse "a tunnel without a file" "name the file" weftd tunnel
misuse "an unknown command of the server" "did you mean .users list" weft-control usres list
misuse "an option without a value" "needs a value" weft-control users create bob --name
misuse "a word too many" "'2' is one word too many" weft-control nodes delete 1 2
misuse "words for serve" "'extra' is one word" weft-control serve extra
misuse "an unknown option of the relay" "unknown option --nosuch" weft-relay run --nosuch

said=$(on server "$bin/weftd" tunnel "$dir/none.conf" 2>&1)
check "the tunnel takes its file as a word" sh -c 'printf "%s" "$1" | grep -q "none.conf: No such file"' - "$said"
echo 'root:$6$salt$verysecret:20228:0:99999:7:::' >"$dir/shadow"
said=$(on server "$bin/weft-control" --config "$dir/shadow" users list 2>&1)
check_not "what is no configuration is not repeated" sh -c 'printf "%s" "$1" | grep verysecret' - "$said"

start control server "$bin/weft-control" --config "$dir/control.yaml" serve
wait_for 20 admin server status >/dev/null 2>&1 || die "weft-control does not answer"
echo '{"grants":[{"src":["*"],"dst":["*"],"ip":["*"]}]}' | admin policy set >/dev/null
check_not "an empty file is no policy" admin policy set /dev/null
check "the policy stays" sh -c 'printf "%s" "$1" | grep -q grants' - "$(admin policy get)"
check "until it is removed" admin policy remove
check_not "then there is none" sh -c 'printf "%s" "$1" | grep -q grants' - "$(admin policy get)"
