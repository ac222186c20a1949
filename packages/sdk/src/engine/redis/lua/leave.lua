--- name:   leave
--- caller: member
--- keys:   settings members counters channel
--- args:   now session
--- reply:  1
--- include "members_changed"
call("HDEL", KEYS[2], ARGV[2])
if call("HDEL", KEYS[3], ARGV[2]) == 1 then members_changed(KEYS[1], KEYS[4]) end
return 1
