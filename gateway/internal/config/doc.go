// Package config turns the configuration file and the environment into one
// Config, or into a list of everything that is wrong with them.
//
//	gatepost.yaml --> parse --> decode over Default() --.
//	GATEPOST_A__B=value ------> decode over that -------+--> Finish --> Config
//	                                |                          |
//	                                '------> Report <----------'
//	                                 file:line: path: what is allowed
//
//	Config --> Check: certificates, key file, directories of this machine
//
// Decoding is strict: an unknown key is a problem that lists the known ones.
// Nothing is started, and nothing is written, before the whole report is empty.
//
// An environment variable is GATEPOST_ and the path of the setting in upper
// case, with two underscores between the levels: GATEPOST_LISTEN__PUBLIC__ADDRESS
// sets listen.public.address. A list of plain values is separated by commas;
// lists of objects (hosts, routes) stand in the file only. Names that begin
// with GATEPOST_TEST_ or GATEPOST_FAULT_ belong to the project's own tests and
// are left alone; any other unknown GATEPOST_ name is a problem.
//
// A secret may be written as file:PATH; the value is then the file's content
// without its last line break. Relative paths count from the directory of the
// configuration file, in the environment from the working directory.
package config
