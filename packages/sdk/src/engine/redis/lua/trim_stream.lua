--- name:   trim_stream
--- caller: member
--- keys:   stream
--- args:   now max_length max_age
--- reply:  1
--- include "trim_stream"
trim_stream(KEYS[1] .. "l", ARGV[2], ARGV[3])
return 1
