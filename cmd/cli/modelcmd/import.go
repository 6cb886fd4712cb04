package modelcmd

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
	"github.com/compspec/ocifit-lab/webhook/joblib"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

type importOptions struct{ name, direction, out, rows string }

func (a app) importCmd() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import FILE.joblib --direction maximize|minimize",
		Short: "Turn a scikit-learn pipeline into a model file, without running its pickle",
		Long: `import reads a joblib file as plain data; no code that it may carry is run. The pipeline may consist of a
ColumnTransformer of one-hot encoded labels, StandardScaler, PolynomialFeatures, a FunctionTransformer that selects columns,
and LinearRegression or Lasso at its end; anything else is refused by name. The model file can be pushed as a layer of an
artifact, which the webhook then scores with: artifact push REFERENCE --file artifact.json --model FILE.`,
		Example: `  ocifit-lab models import lasso_model_fom.joblib --direction maximize --out fom.json
  ocifit-lab models score --file fom.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.importModel(args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.name, "name", "", "name of the model (default: the file's, without lasso_model_ and .joblib)")
	f.StringVar(&o.direction, "direction", "", "maximize or minimize (required)")
	f.StringVar(&o.rows, "fitted-on", "", "node features of the rows that the pipeline was fitted on; the model then scores only what they determine")
	f.StringVar(&o.out, "out", "", "file to write (default: stdout)")
	_ = cmd.MarkFlagRequired("direction")
	_ = cmd.RegisterFlagCompletionFunc("direction", command.Words("maximize", "minimize"))
	return cmd
}

func (a app) importModel(file string, o importOptions) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if info.Size() > joblib.MaxFileBytes {
		return fmt.Errorf("%s has %d bytes, the limit is %d", file, info.Size(), joblib.MaxFileBytes)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if o.name == "" {
		o.name = joblib.Name(file)
	}
	m, err := joblib.Import(data, file, o.name, compat.Direction(o.direction))
	if err != nil {
		return err
	}
	if o.rows != "" {
		if m, err = a.fittedOn(m, o.rows); err != nil {
			return err
		}
	}
	encoded, err := predict.EncodeModel(m)
	if err != nil {
		return err
	}
	if o.out == "" {
		_, err = a.Out.Write(encoded)
		return err
	}
	if err := atomicfile.Output(o.out, encoded, 0o644); err != nil {
		return err
	}
	result := map[string]any{"name": m.Name, "direction": m.Direction, "labels": len(m.Labels()), "terms": len(m.Terms), "file": o.out}
	return a.Print(result, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "model %s: %d labels, %d terms, written to %s\n", m.Name, len(m.Labels()), len(m.Terms), o.out)
		return err
	})
}

// fittedOn gives a model the rows that it was fitted on.
func (a app) fittedOn(m *predict.Model, file string) (*predict.Model, error) {
	data, err := a.ReadFile(file)
	if err != nil {
		return nil, err
	}
	rows, err := features.ParseCatalogue(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	labels := make([]map[string]string, len(rows))
	for i, r := range rows {
		labels[i] = r.Labels
	}
	out, err := m.WithCombinations(labels)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return out, nil
}

// readModel reads a model file.
func readModel(file string) (*predict.Model, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	m, err := predict.DecodeModel(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return m, nil
}
